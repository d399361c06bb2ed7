"""Programs started by tests, on free ports and in folders of their own; only these are ended, by their pid."""

import asyncio
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import SIGCONT, SIGTERM
from typing import Any, TypeVar

from slipway.ops import wait
from slipway.ops.settings import ROOT

BIN = Path(sys.executable).parent
START_SECONDS = 40.0  # for a start on a busy machine
STOP_SECONDS = 30.0
POLL_SECONDS = 0.02

PORTS = range(20_000, 30_000)  # below the system's range of ephemeral ports
BLOCK = 100  # ports that a test process reserves at a time
STAT_BYTES = 1_024  # more than the length of a line in /proc/PID/stat
START_TIME = 19  # index of the start time after the command's name; proc(5)


class Process:
    """A program with its output in a file; it can be started again after its end."""

    stop_code = 0  # exit code after a SIGTERM
    output: int | None = None  # a descriptor for its output, instead of the file

    def __init__(
        self,
        command: Sequence[str],
        log_path: Path,
        environment: Mapping[str, str] | None = None,
        *,
        cwd: Path = ROOT,
        user: str | None = None,
    ) -> None:
        self._command = [*command]
        self.log_path = log_path
        self.environment = {**(os.environ if environment is None else environment)}
        self._cwd = cwd
        self._user = user

    def start(self) -> None:
        with self.log_path.open("ab") as log:
            output = log if self.output is None else self.output
            self._process = subprocess.Popen(
                self._command,
                cwd=self._cwd,
                env=self.environment,
                user=self._user,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C reaches the tests alone, which end it
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int | None:
        """The exit code, None while it runs."""
        return self._process.poll()

    @property
    def ready(self) -> bool:
        """Whether it can be used; each kind of server has its own test."""
        return True

    def until_ready(self) -> None:
        """Wait until it is ready; raise with the log when the start fails."""
        ready = wait.until(lambda: self.ready or self.code is not None, START_SECONDS)
        assert ready and self.code is None, f"{self._command} is not ready, exit code {self.code}:\n{self.log()}"

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def stop(self, number: int = SIGTERM, seconds: float = STOP_SECONDS) -> int:
        """End it, whatever its state, and return the exit code. One that does not end is killed, and this raises."""
        self.signal(number)
        self.signal(SIGCONT)
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(seconds)
            raise AssertionError(f"{self._command} does not end:\n{self.log()}") from None

    async def exit_code(self, seconds: float) -> int:
        """Wait for the end and return the exit code; one that does not end is stopped, and this raises."""
        try:
            await until(lambda: self.code is not None, seconds, f"the end of {self._command}")
        finally:
            code = self.stop()
        return code

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def records(self) -> list[dict[str, Any]]:
        """Parse the log of a server that writes JSON; raise if any line is not one object."""
        found = [json.loads(line) for line in self.log().split("\n")[:-1]]
        assert all(isinstance(record, dict) for record in found)
        return found

    def messages(self) -> list[str]:
        """Return the messages of the records."""
        return [record["message"] for record in self.records()]

    def logged(self, text: str) -> int:
        """Return how often the log contains a text."""
        return self.log().count(text)


Started = TypeVar("Started", bound=Process)


@contextmanager
def running(process: Started) -> Iterator[Started]:
    """Run a program; once ready it enters the block, and if it still runs afterwards it must stop with `stop_code`."""
    process.start()
    try:
        process.until_ready()
        yield process
        if process.code is None:
            assert process.stop() == process.stop_code, process.log()
    finally:
        process.stop()


@contextmanager
def short_folder(parent: Path | None = None) -> Iterator[Path]:
    """An empty folder with a short name: the path of a unix socket has at most 107 bytes."""
    with tempfile.TemporaryDirectory(dir=parent or "/tmp", prefix="sl-") as name:
        yield Path(name)


def _own_ports() -> Iterator[int]:
    """Yield the ports of blocks that no other test process has, one block after the other."""
    for start in itertools.cycle(PORTS[::BLOCK]):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0slipway-test-ports-{start}")  # an abstract name, released when the process ends
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        yield from range(start, start + BLOCK)


_claims: list[socket.socket] = []
_ports = _own_ports()
_one_at_a_time = threading.Lock()


def free_ports(count: int = 1) -> int:
    """Return the first of `count` consecutive free ports; none is returned twice."""
    while True:
        with _one_at_a_time:
            ports = [*itertools.islice(_ports, count)]
        if ports[-1] == ports[0] + count - 1 and all(wait.is_free("127.0.0.1", port) for port in ports):
            return ports[0]


async def until(true: Callable[[], object], seconds: float, what: str = "") -> None:
    """Poll until it is true; raise TimeoutError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what or true}")
        await asyncio.sleep(POLL_SECONDS)


async def pause() -> None:
    """Wait between two polls, which would otherwise take CPU time from the polled process."""
    await asyncio.sleep(POLL_SECONDS)


def children(parent: int) -> list[int]:
    """Return a process's children, oldest first by start time, since pids may be reused; without zombies."""
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):  # noqa: PTH208 (polled: a Path for each would cost more)
        with suppress(OSError), open(f"/proc/{name}/stat", "rb", buffering=0) as file:  # noqa: PTH123
            fields = file.read(STAT_BYTES).rpartition(b")")[2].split()
            if int(fields[1]) == parent and fields[0] != b"Z":
                found.append((int(fields[START_TIME]), int(name)))
    return [pid for _, pid in sorted(found)]


def command_of(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def is_alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
