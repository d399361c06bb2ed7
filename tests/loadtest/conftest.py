"""A real server with the app, and locust run as a user runs it."""

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from slipway.ops.settings import ROOT
from tests.harness.processes import BIN, free_ports
from tests.harness.stack import served_by_uvicorn


@dataclass(frozen=True)
class Outcome:
    """The exit code and the output of a run of locust."""

    code: int
    output: str


Locust = Callable[..., Outcome]


@pytest.fixture(scope="session")
def app() -> Iterator[str]:
    """The address of the app under uvicorn, with the benchmark's endpoints."""
    with served_by_uvicorn() as server:
        yield server.url


@pytest.fixture(scope="session")
def locust() -> Locust:
    """Run `locust -f loadtest --headless` to its end."""

    def run(
        *arguments: str,
        host: str | None,
        seconds: float = 2,
        file: str = "loadtest",
        cwd: Path = ROOT,
        **environment: str,
    ) -> Outcome:
        command = [str(BIN / "locust"), "-f", file, "--headless", "--only-summary", "-r", "100"]
        command += ["-t", f"{seconds:g}s"] if seconds else []
        command += ["--host", host] if host is not None else []
        if "--processes" in arguments:  # two runs may share the machine
            port = str(free_ports())
            command += ["--master-bind-port", port, "--master-port", port]
        command += arguments
        done = subprocess.run(
            command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=50
        )
        return Outcome(done.returncode, done.stdout + done.stderr)

    return run
