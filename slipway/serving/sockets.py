"""Restores unix sockets whose files were removed, by a cleaner of temporary files or with their folder.

A listener without its file keeps its connections, and gets no new ones. A new listener is bound to the path; workers
that serve the old one are then replaced, as spent workers are.
"""

import errno
import logging
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

log = logging.getLogger("gunicorn.error")


class SocketFiles:
    """The socket files of the listeners, and the listeners that were bound anew."""

    def __init__(self, listeners: list[Any], bind: Callable[[str], Any]) -> None:
        self._listeners = listeners
        self._bind = bind
        self._paths = {number: Path(name) for number, each in enumerate(listeners) if (name := _path(each))}
        self._folders = {path.parent: stat.S_IMODE(path.parent.stat().st_mode) for path in self._paths.values()}
        self.restored = 0
        self._bound_at: dict[int, int] = {}  # the age of the youngest worker when the listener was bound anew

    def missing(self) -> list[int]:
        """Return the numbers of the listeners whose files are gone."""
        return [number for number, path in self._paths.items() if not _exists(path)]

    def restore(self, number: int, youngest: int) -> None:
        """Bind a new listener where the file is gone; workers up to the age `youngest` serve the old one."""
        path = self._paths[number]
        if not path.parent.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.parent.chmod(self._folders[path.parent])
        old, self._listeners[number] = self._listeners[number], self._bind(str(path))
        old.close()
        self._bound_at[number] = youngest
        self.restored += 1
        log.error("%s was removed by another program; it is bound anew, and its worker is replaced", path)

    def are_old(self, numbers: list[int], age: int) -> bool:
        """Whether a worker of that age serves a listener whose path was bound anew after the worker's start."""
        return any(age <= self._bound_at.get(number, -1) for number in numbers)


def _path(listener: Any) -> str:
    name = listener.getsockname()
    return name if isinstance(name, str) and not name.startswith("\0") else ""


def _exists(path: Path) -> bool:
    try:
        path.lstat()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return False
        raise
    return True
