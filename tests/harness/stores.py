"""The faults that a test may cause in stores of state, whether these are files, processes or containers."""

import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Protocol

STOP_SECONDS = 20.0
LOCK = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)  # it has its turn among busy writers
database.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


class Store(Protocol):
    """A store of state that accepts nothing while it is paused."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...


class Service(Store, Protocol):
    """A store with a server of its own: it can be killed, and started again with the state it has kept."""

    def kill(self) -> None: ...
    def start(self) -> None: ...


class LockedFile:
    """A SQLite file that another process locks while it is paused; `python` is the command that runs that process."""

    def __init__(self, path: str, *python: str) -> None:
        self._command = [*python, "-c", LOCK, path]

    def pause(self) -> None:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"locked\n"

    def resume(self) -> None:
        self._process.communicate(timeout=STOP_SECONDS)


class Disk(Protocol):
    """The disk that holds the files of a store."""

    def fill(self) -> None: ...
    def free(self) -> None: ...


class SmallDisk:
    """A file system of its own, in memory; mounting it needs root."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path / "full"

    def mount(self, size: str) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0777", "tmpfs", str(self.path)], check=True)

    def unmount(self) -> None:
        subprocess.run(["umount", str(self.path)], check=True)

    def fill(self) -> None:
        with self._file.open("wb", buffering=0) as file, suppress(OSError):  # no space left on device
            while True:
                file.write(bytes(4_096))

    def free(self) -> None:
        self._file.unlink()
