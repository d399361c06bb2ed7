"""Starts the measured programs, waits until they listen, and stops them by pid."""

import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from slipway.ops import wait

START_SECONDS = 20.0
STOP_SECONDS = 12.0  # above the app server's graceful time-out
NOT_OUTGOING = range(10_000, 32_768)  # Linux assigns higher ports to outgoing connections: ip(7), ip_local_port_range

Address = tuple[str, int] | Path  # host and port, or a unix socket


class NotStarted(RuntimeError):
    """A program ended, or did not listen in time; the message contains the end of its log."""


@dataclass
class ManagedProcess:
    """A program in its own process group, with its output in a file."""

    name: str
    popen: "subprocess.Popen[bytes]"
    log: Path

    @property
    def pid(self) -> int:
        return self.popen.pid

    def wait_for(self, address: Address, seconds: float = START_SECONDS) -> None:
        """Wait until the program listens; raise NotStarted if it ends or `seconds` pass first."""
        end = time.monotonic() + seconds
        while not listens(address):
            if self.popen.poll() is not None or time.monotonic() > end:
                raise NotStarted(f"{self.name} does not listen on {address}:\n{self.tail()}")
            time.sleep(0.02)

    def tail(self, size: int = 1_500) -> str:
        return self.log.read_bytes()[-size:].decode(errors="replace")

    def stop(self, sign: int = signal.SIGTERM, seconds: float = STOP_SECONDS) -> None:
        """Send a signal; kill the process group if it has not ended after `seconds`."""
        if self.popen.poll() is None:
            self.popen.send_signal(sign)
            try:
                self.popen.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(self.pid, signal.SIGKILL)
                self.popen.wait(seconds)


def start(
    name: str,
    command: Sequence[str],
    *,
    log: Path,
    cpus: Sequence[int] = (),
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> ManagedProcess:
    """Start a program, pinned to `cpus` if any are given."""
    pinned = ["taskset", "-c", ",".join(map(str, cpus)), *command] if cpus else list(command)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        popen = subprocess.Popen(
            pinned, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, **(env or {})}, cwd=cwd,
            start_new_session=True,
        )  # fmt: skip
    return ManagedProcess(name, popen, log)


def listens(address: Address) -> bool:
    """Whether the address accepts connections."""
    family = socket.AF_UNIX if isinstance(address, Path) else socket.AF_INET
    with socket.socket(family) as probe:
        probe.settimeout(1)
        return probe.connect_ex(str(address) if isinstance(address, Path) else address) == 0


def free_port() -> int:
    """Return an unused loopback port that no outgoing connection can be assigned before the server binds it."""
    while True:
        port = secrets.choice(NOT_OUTGOING)
        if wait.is_free("127.0.0.1", port):
            return port
