"""The files beside the sockets: who runs here, where nginx finds the slots, how the last reload went.

nginx knows the slots by links, `slot-0.sock` and so on, that lead to the sockets of the instance that is in service. So
a new container takes over from the old one without a word to nginx: a reload of nginx would cut idle connections, and
with them a request that is just on its way. An instance that is ready turns the links to itself, but not while they
lead to another one that runs: then whoever started it says when, since it may be ready and yet not healthy.
"""

import fcntl
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from slipway.serving.config import Settings


class Status:
    """Written by the arbiter, read by nginx, by `python -m slipway.serving.ctl` and by whoever is curious."""

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
        os.set_inheritable(self._lock, True)  # by the arbiter that SIGUSR2 starts; every other child closes it
        os.truncate(self._lock, 0)
        os.write(self._lock, str(os.getpid()).encode())
        self._path("json").unlink(missing_ok=True)

    def unlock(self) -> None:
        """Called in a worker, which must not hold the lock when its arbiter has died."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def ready(self, pid: int, workers: int, table: str) -> None:
        """All workers are ready; `table` is the file of slipway/serving/table.py."""
        if "pid" not in self._values and not _another_serves(self._settings):
            publish(self._settings)
        self._write(pid=pid, workers=workers, reason=self._settings.workers_reason, table=table)

    def serving(self, pids: list[int]) -> None:
        """The workers that are ready and do not drain; they step in when the instance in service has ended."""
        if "pid" not in self._values:
            return
        if not _leads_to_us(self._settings) and not _another_serves(self._settings):
            publish(self._settings)
        if self._values.get("serving") != pids:
            self._write(serving=pids)

    def reloaded(self, number: int, state: str, reason: str = "") -> None:
        """How far a reload is: running, done or refused."""
        self._write(reload={"number": number, "state": state, "reason": reason})

    def stopping(self) -> None:
        """Nothing is to be found here from now on."""
        withdraw(self._settings)
        self._path("json").unlink(missing_ok=True)

    def _write(self, **values: Any) -> None:
        self._values.update(values)
        _replace(self._path("json"), json.dumps(self._values))

    def _path(self, suffix: str) -> Path:
        return self._folder / f"{self._settings.instance}.{suffix}"


def runs(settings: Settings) -> bool:
    """Whether an arbiter holds the instance's lock; what is in its files says little after a SIGKILL."""
    try:
        with (settings.run_dir / f"{settings.instance}.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _another_serves(settings: Settings) -> bool:
    """Whether nginx's links lead to another instance that runs."""
    link = _link(settings, 0)
    instance = link.readlink().name.removesuffix("-0.sock") if link.is_symlink() else settings.instance
    return instance != settings.instance and runs(replace(settings, instance=instance))


def publish(settings: Settings) -> None:
    """Put the instance into service: turn the links to its sockets, each in one step."""
    if not settings.has_slots:
        return
    addresses = settings.addresses()
    for number, path in enumerate(settings.socket_paths()):
        link = _link(settings, number)
        new = link.with_name(f"{settings.instance}.new")
        new.unlink(missing_ok=True)
        new.symlink_to(Path(path).name)
        new.replace(link)
        addresses[number] = f"unix:{link}"
    # max_fails=0: a slot whose worker is being replaced only queues; marked as failed, 84 % of requests got 502.
    lines = [f"server {address} max_fails=0;\n" for address in addresses]
    _replace(settings.run_dir / "slots.conf", "".join(lines))


def withdraw(settings: Settings) -> None:
    """Remove the links that lead to this instance; those that another has turned to itself stay."""
    links = [_link(settings, number) for number in range(settings.workers)]
    ours = [link for link, path in zip(links, settings.socket_paths(), strict=False) if _leads_to(link, path)]
    for link in ours:
        link.unlink()
    if ours or settings.slot_port:
        (settings.run_dir / "slots.conf").unlink(missing_ok=True)


def _link(settings: Settings, number: int) -> Path:
    return settings.run_dir / f"slot-{number}.sock"


def _leads_to_us(settings: Settings) -> bool:
    """Whether nginx comes to us; with ports it has no links that could lead elsewhere."""
    return settings.socket_dir is None or _leads_to(_link(settings, 0), settings.socket_paths()[0])


def _leads_to(link: Path, path: str) -> bool:
    return link.is_symlink() and link.readlink().name == Path(path).name


def _replace(path: Path, text: str) -> None:
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.replace(path)
