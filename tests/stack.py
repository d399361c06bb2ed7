"""Starts the real servers for tests: gunicorn by its literal command, the real nginx, on free ports and in own folders.

Rules: loopback and unix sockets only, every wait has an end, and only what was started here is ended, by its pid.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ops import nginx, wait

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS = 20.0
STOP_SECONDS = 20.0
LITERAL = ("gunicorn", "-k", "uvicorn.workers.UvicornWorker")


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def short_folder() -> Iterator[Path]:
    """A temporary folder whose path leaves room for sockets' names (107 bytes in all)."""
    folder = Path(tempfile.mkdtemp(prefix="sl-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def program(name: str) -> str:
    """A program of the environment that runs the tests."""
    return str(Path(sys.executable).parent / name)


class Process:
    """A server that was started here; its output goes to a file."""

    def __init__(
        self, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None, cwd: Path = ROOT
    ) -> None:
        self.command = " ".join(command)
        self.log_path = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=cwd,
                env={**os.environ, **(env or {})},
            )
        self.pid = self._process.pid

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    @property
    def code(self) -> int | None:
        """The exit code, None while it runs."""
        return self._process.poll()

    def kill(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Its exit code; raises TimeoutExpired when it does not end."""
        return self._process.wait(seconds)

    def stop(self, number: int = signal.SIGTERM, seconds: float = STOP_SECONDS) -> int:
        """Ask it to stop and return its exit code; one that does not is killed, and the test fails."""
        if self.code is None:
            self.kill(number)
        try:
            return self.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"{self.command} did not stop in {seconds} s:\n{self.log[-4_000:]}") from None

    def until(self, true: Callable[[], object], seconds: float = READY_SECONDS, what: str = "it") -> None:
        """Wait until something is true, as long as the process lives."""
        met = False

        def settled() -> bool:
            nonlocal met
            met = bool(true())
            return met or self.code is not None

        assert wait.until(settled, seconds), f"{what} did not become true in {seconds} s:\n{self.log[-6_000:]}"
        assert met, f"{self.command} ended with {self.code}:\n{self.log[-6_000:]}"


@dataclass
class Stack:
    """gunicorn in its slots and nginx in front of it."""

    url: str
    folder: Path
    gunicorn: Process
    nginx: Process
    workers: int
    env: dict[str, str] = field(default_factory=dict)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def sockets(self) -> list[Path]:
        return [self.folder / "s" / f"app-{slot}.sock" for slot in range(self.workers)]

    def worker_pids(self) -> list[int]:
        """The children of the arbiter that live now, oldest first."""
        return children(self.gunicorn.pid)


def children(pid: int) -> list[int]:
    """The processes whose parent this is."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    with suppress(OSError):
        return [int(child) for child in path.read_text().split()]
    return []


def alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    with suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@contextmanager
def gunicorn(
    folder: Path,
    app: str = "app.main:application",
    *,
    workers: int = 2,
    arguments: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    literal: Sequence[str] = LITERAL,
    slots: bool = True,
) -> Iterator[Process]:
    """gunicorn by its literal command, ready; ended with SIGTERM, which must give the exit code 0."""
    variables = server_environment(folder, workers, slots) | dict(env or {})
    process = Process([program(literal[0]), *literal[1:], *arguments, app], folder / "gunicorn.log", variables, cwd)
    try:
        status = folder / "s" / "app.json"
        process.until(status.exists, what=f"{status}")
        yield process
        if process.code is None:
            assert process.stop() == 0, process.log[-4_000:]
    finally:
        if process.code is None:
            process.stop()


def server_environment(folder: Path, workers: int, slots: bool = True) -> dict[str, str]:
    """What a server in a folder of its own gets; `slots=False` leaves it with the address that all workers share."""
    return {
        "DATA_DIR": str(folder / "data"),
        "INSTANCE": "app",
        "WEB_CONCURRENCY": str(workers),
        "BENCH_ENDPOINTS": "1",
        **({"SOCKET_DIR": str(folder / "s")} if slots else {"RUN_DIR": str(folder / "s")}),
    }


@contextmanager
def front(folder: Path, max_body_bytes: int = 1 << 20) -> Iterator[tuple[str, Process]]:
    """The real nginx with the shipped configuration over the slots in a folder; yields its address."""
    port = free_port()
    command = nginx.prepare(
        folder / "nginx", listen=f"127.0.0.1:{port}", socket_dir=folder / "s", max_body_bytes=max_body_bytes
    )
    process = Process(command, folder / "nginx.log")
    try:
        process.until(lambda: not wait.is_free("127.0.0.1", port), what="nginx's port")
        yield f"http://127.0.0.1:{port}", process
    finally:
        assert process.stop(signal.SIGTERM) == 0, process.log[-4_000:]


@contextmanager
def local_stack(app: str = "app.main:application", **options: Any) -> Iterator[Stack]:
    """gunicorn with slots behind nginx; options as for `gunicorn`."""
    with (
        short_folder() as folder,
        gunicorn(folder, app, **options) as server,
        front(folder) as (url, proxy),
    ):
        deadline = time.monotonic() + READY_SECONDS
        assert wait.until_ready(url, deadline - time.monotonic()) or wait.get(f"{url}/")[0], server.log[-4_000:]
        yield Stack(url, folder, server, proxy, options.get("workers", 2), dict(options.get("env") or {}))
