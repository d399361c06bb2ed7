"""The real gunicorn, started by the literal command, and the real nginx, in a folder of their own on free ports."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from ops import nginx, wait
from soak.client import Address

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
START_SECONDS = 40.0  # for a start on a busy machine
STOP_SECONDS = 30.0
POLL_SECONDS = 0.02
LITERAL = ("gunicorn", "-k", "uvicorn.workers.UvicornWorker")
Slots = Literal["unix", "tcp", "shared"]


async def until(true: Callable[[], object], seconds: float, what: str = "") -> None:
    """Poll until it is true; raises TimeoutError when the time is over."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what or true}")
        await asyncio.sleep(POLL_SECONDS)


def free_ports(count: int = 1) -> int:
    """The first of so many free ports in a row; processes that run side by side look in different places."""
    for first in range(10_000 + os.getpid() * 101 % 20_000, 60_000, count):
        if all(wait.is_free("127.0.0.1", first + number) for number in range(count)):
            return first
    raise AssertionError("no port is free")


def make_folder(parent: Path | None = None) -> Path:
    """A short path: a unix socket's may have 107 bytes."""
    return Path(tempfile.mkdtemp(dir=parent or "/tmp", prefix="sl-"))


class Server:
    """One gunicorn."""

    def __init__(
        self,
        folder: Path,
        app: str = "app.main:application",
        *,
        slots: Slots = "unix",
        workers: int = 2,
        arguments: Sequence[str] = (),
        literal: Sequence[str] = LITERAL,
        **environment: str,
    ) -> None:
        self.folder = folder
        self.slots = slots
        self.workers = workers
        self.log_path = folder / "gunicorn.log"
        self.port = free_ports(workers) if slots != "unix" else 0
        self.environment = {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(folder),
            "RUN_DIR": str(folder),
            "DATA_DIR": str(folder / "data"),
            "INSTANCE": "app",
            "WEB_CONCURRENCY": str(workers),
            "BENCH_ENDPOINTS": "1",
            "ACCESS_LOG": "0",
            **{
                "unix": {"SOCKET_DIR": str(folder)},
                "tcp": {"SLOT_PORT": str(self.port)},
                "shared": {"GUNICORN_CMD_ARGS": f"--bind=127.0.0.1:{self.port}"},
            }[slots],
            **environment,
        }
        self.command = [*literal, app, *arguments]
        self._process: subprocess.Popen[bytes] | None = None

    # Life

    def start(self) -> None:
        with self.log_path.open("ab") as log:
            self.process = self._process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def until_ready(self) -> "Server":
        """Wait until all workers serve; raises with the log when the start fails."""
        ready = wait.until(lambda: self.ready or self.process.poll() is not None, START_SECONDS)
        assert ready and self.process.poll() is None, self.log()
        return self

    def end(self) -> None:
        """Stop what still runs, whatever state it is in, and remove nothing."""
        if self._process is None:
            return
        left = [self._process.pid, *children(self._process.pid)]
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        for pid in left:
            if is_ours(pid, self.folder):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(STOP_SECONDS)

    async def exit_code(self, seconds: float) -> int:
        """Wait for the end."""
        await until(lambda: self.process.poll() is not None, seconds, "the end of gunicorn")
        assert self.process.returncode is not None
        return self.process.returncode

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ctl(self, verb: str, seconds: float = 60.0) -> tuple[int, str]:
        """Exit code and output of `python -m serving.ctl`."""
        command = [sys.executable, "-m", "serving.ctl", verb]
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(seconds):
                output, _ = await process.communicate()
        except TimeoutError:
            process.kill()
            raise
        return await process.wait(), output.decode()

    async def reload(self) -> tuple[int, str]:
        """Exit code and output of the reload command."""
        return await self.ctl("reload")

    # Looking at it

    @property
    def ready(self) -> bool:
        return (self.folder / "app.json").exists()

    def status(self) -> Any:
        return json.loads((self.folder / "app.json").read_text())

    def pids(self) -> list[int]:
        """The workers' processes, those that drain included, oldest first."""
        return workers_of(self.process.pid)

    def address(self, slot: int = 0) -> Address:
        if self.slots == "unix":
            return str(self.folder / f"app-{slot}.sock")
        return "127.0.0.1", self.port + (slot if self.slots == "tcp" else 0)

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def logged(self, text: str) -> int:
        """How often the log says so."""
        return self.log().count(text)


class Nginx:
    """One nginx before a server."""

    def __init__(self, server: Server) -> None:
        self.folder = server.folder / "nginx"
        self.port = free_ports()
        self.address: Address = ("127.0.0.1", self.port)
        listen = f"127.0.0.1:{self.port}"
        self.log_path = server.folder / "nginx.log"
        command = nginx.prepare(self.folder, listen=listen, socket_dir=server.folder, max_body_bytes=1 << 20)
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        assert wait.until(lambda: not wait.is_free("127.0.0.1", self.port), START_SECONDS), self.log_path.read_text()

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(STOP_SECONDS)

    def by_upstream(self) -> Counter[str]:
        """How many requests each slot has answered, as the access log has it; it is written once a second."""
        with suppress(FileNotFoundError):
            lines = self.log_path.read_text().splitlines()
            return Counter(
                json.loads(line)["upstream"] for line in lines if line.startswith("{") and line.endswith("}")
            )
        return Counter()


@contextmanager
def serving(app: str = "app.main:application", **options: Any) -> Iterator[Server]:
    """A gunicorn that is ready; afterwards it is stopped and its folder removed."""
    folder = make_folder()
    server = Server(folder, app, **options)
    try:
        server.start()
        yield server.until_ready()
    finally:
        server.end()
        shutil.rmtree(folder)


@contextmanager
def behind_nginx(server: Server) -> Iterator[Nginx]:
    """An nginx before a server that is ready."""
    proxy = Nginx(server)
    try:
        yield proxy
    finally:
        proxy.end()


# Processes


def children(parent: int) -> list[int]:
    """All processes whose parent it is."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(OSError):
                state, ppid = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
                if int(ppid) == parent and state != "Z":
                    found.append(int(folder.name))
    return sorted(found)


def workers_of(master: int) -> list[int]:
    """Those of its children that run the same command, which a check of new code does not."""
    return [pid for pid in children(master) if command_of(pid) == command_of(master)]


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def is_alive(pid: int) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def is_ours(pid: int, folder: Path) -> bool:
    """Whether it lives and was started for this folder; a number may have been given to another process since."""
    with suppress(OSError):
        return is_alive(pid) and f"={folder}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    return False


def is_refused(address: Address) -> bool:
    """Whether nobody listens there."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as probe:
        probe.settimeout(5)
        return probe.connect_ex(address) != 0
