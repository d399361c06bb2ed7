"""The instance's lock and its status file: the arbiter's pid, the serving workers, the result of the last reload.

The values are kept in memory, and written when they have changed or the file is gone; a write that fails is tried again
in the arbiter's next step.
"""

import fcntl
import json
import os
import sys
from pathlib import Path
from typing import Any

from slipway.serving import links
from slipway.serving.settings import ServerSettings
from slipway.serving.slot_lists import write_whole


class Status:
    """Written by the arbiter, read by `python -m slipway.serving.ctl` and by people."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._folder = settings.run_dir
        self._values: dict[str, Any] = {"reload": {"number": 0, "state": "none", "reason": ""}}
        self._written: dict[str, Any] = {}
        self._in_place: tuple[int, ...] = ()  # `links.changes` when links and lists were last seen to be right
        self._lock: int | None = None
        self._ready = False

    def lock(self) -> None:
        """Take the lock, or exit if it is held already; the system frees it with the last process that holds it."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            holder = self._take_lock()
            if not holder:
                self._path("json").unlink(missing_ok=True)
        except OSError as error:
            sys.exit(f"{self._folder} can't be used as SOCKET_DIR or RUN_DIR: {error}")
        if holder:
            sys.exit(
                f"{self._path('lock')} is held by process {holder}: that instance runs already; "
                "stop it, or set INSTANCE or SOCKET_DIR"
            )

    def unlock(self) -> None:
        """Close the lock in a worker, which must not hold it after its arbiter has died."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def tell(self, **values: Any) -> None:
        """Take note of values for the next `write`."""
        self._values.update(values)

    def reloaded(
        self, number: int, state: str, reason: str = "", replaced: int = 0, unclean: list[str] | None = None
    ) -> None:
        """Take note of a reload's state: running, done or refused."""
        reload = {"number": number, "state": state, "reason": reason, "replaced": replaced, "unclean": unclean or []}
        self.tell(reload=reload)

    @property
    def last_reload(self) -> dict[str, Any]:
        reload: dict[str, Any] = self._values["reload"]
        return reload

    def ready(self) -> None:
        """Write the files from now on; called once all workers are ready."""
        self._ready = True

    def write(self) -> None:
        """Bring lock, file and links up to date; take over the links of an instance in service that has ended."""
        if not self._ready:
            return
        changes = links.changes(self._settings)
        if self._values == self._written and changes and changes == self._in_place:
            return
        if self._values != self._written or not self._path("json").exists():
            self._keep_lock()
            write_whole(self._path("json"), json.dumps(self._values))
            self._written = {**self._values}
        if links.are_ours(self._settings):
            self._in_place = changes
        elif not links.another_serves(self._settings):
            links.publish(self._settings)

    def stopping(self) -> None:
        """Remove the status file, and the links and lists of this instance."""
        self._ready = False
        self._path("json").unlink(missing_ok=True)
        links.withdraw(self._settings)

    def _take_lock(self) -> str:
        """Lock the file; return the pid of another holder, empty if we have it now."""
        path = self._path("lock")
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock, 20).decode() or "?"
            os.close(lock)
            return holder
        os.set_inheritable(lock, True)  # by the arbiter that SIGUSR2 starts; every other child closes it
        os.truncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
        self.unlock()
        self._lock = lock
        return ""

    def _keep_lock(self) -> None:
        """Lock again if the file was removed: a lock on a removed file would not refuse a second start."""
        if self._lock is not None and not self._path("lock").exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            self._take_lock()

    def _path(self, suffix: str) -> Path:
        return self._folder / f"{self._settings.instance}.{suffix}"
