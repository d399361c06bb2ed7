"""The files beside the sockets: who runs here, where nginx finds its slots, how the last reload went."""

import fcntl
import json
import os
import sys
from pathlib import Path
from typing import Any

from serving.config import Settings


class Status:
    """Written by the arbiter, read by nginx, by `python -m serving.ctl` and by whoever is curious."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = settings.run_dir
        self._values: dict[str, Any] = {"reload": {"number": 0, "state": "none", "reason": ""}}
        self._lock: int | None = None

    def lock(self) -> None:
        """Refuse a second start on the same paths; the system frees the lock with the last process that holds it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path("lock")
        self._lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sys.exit(
                f"{path} is held by process {os.read(self._lock, 20).decode() or '?'}: that instance runs already; "
                "stop it, or set INSTANCE or SOCKET_DIR"
            )
        os.truncate(self._lock, 0)
        os.write(self._lock, str(os.getpid()).encode())
        for suffix in ("conf", "json"):
            self._path(suffix).unlink(missing_ok=True)

    def unlock(self) -> None:
        """Called in a worker, which must not hold the lock when its arbiter has died."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def ready(self, pid: int, workers: int) -> None:
        """All workers are ready: tell nginx's configuration where they are."""
        settings = self._settings
        if settings.has_slots and not self._path("conf").exists():
            # max_fails=0: a slot whose worker is being replaced only queues; marked as failed, 84 % of requests got 502
            lines = [f"server {address} max_fails=0;\n" for address in settings.addresses()]
            _replace(self._path("conf"), "".join(lines))
        self._write(pid=pid, workers=workers, reason=settings.workers_reason)

    def serving(self, pids: list[int]) -> None:
        """The workers that are ready and do not drain."""
        if self._values.get("pid") and self._values.get("serving") != pids:
            self._write(serving=pids)

    def reloaded(self, number: int, state: str, reason: str = "") -> None:
        """How far a reload is: running, done or refused."""
        self._write(reload={"number": number, "state": state, "reason": reason})

    def stopping(self) -> None:
        """Nothing is to be found here from now on."""
        for suffix in ("conf", "json"):
            self._path(suffix).unlink(missing_ok=True)

    def _write(self, **values: Any) -> None:
        self._values.update(values)
        _replace(self._path("json"), json.dumps(self._values))

    def _path(self, suffix: str) -> Path:
        return self._folder / f"{self._settings.instance}.{suffix}"


def _replace(path: Path, text: str) -> None:
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.replace(path)
