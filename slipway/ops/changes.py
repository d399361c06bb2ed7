"""Which files of a folder have changed: for `make dev`."""

import os
from collections.abc import Collection
from pathlib import Path

LEFT_OUT = {"__pycache__", "node_modules", "venv"}
WRITTEN = (
    ".pyc",
    ".log",
    ".db",
    ".sqlite3",
    "-wal",
    "-shm",
    "-journal",
    ".swp",
    ".tmp",
    "~",
)  # by the running app, or by editors
READ = {".env"}  # read although hidden

Times = dict[str, tuple[int, int]]


def times(root: Path, without: Collection[Path] = ()) -> Times:
    """Return modification time and size of each file that an app may consist of: code, pages, templates, `.env`."""
    found: Times = {}
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if _is_read(name) and Path(folder, name) not in without]
        for name in names:
            if _is_read(name) and not name.endswith(WRITTEN):
                path = os.path.join(folder, name)  # noqa: PTH118 (a Path for each of many files, many times a second)
                try:
                    status = os.stat(path)  # noqa: PTH116
                except OSError:  # gone meanwhile
                    continue
                found[path] = status.st_mtime_ns, status.st_size
    return found


def changed(before: Times, after: Times) -> list[str]:
    """Return the files that were modified, added or removed."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def _is_read(name: str) -> bool:
    return (not name.startswith(".") or name in READ) and name not in LEFT_OUT
