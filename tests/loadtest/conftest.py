"""A real server with the app, and locust as a user runs it."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench import processes

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAMS = Path(sys.executable).parent


@dataclass(frozen=True)
class Outcome:
    """What a run of locust left."""

    code: int
    output: str


Locust = Callable[..., Outcome]


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app under uvicorn with the benchmark's endpoints; yields its address."""
    folder, port = tmp_path_factory.mktemp("app"), processes.free_port()
    command = [str(PROGRAMS / "uvicorn"), "app.main:application", "--port", str(port), "--no-access-log"]
    env = {"DATA_DIR": str(folder), "BENCH_ENDPOINTS": "1", "ACCESS_LOG": "0", "PYTHONWARNINGS": "ignore"}
    server = processes.start("uvicorn", command, log=folder / "log", env=env, cwd=ROOT)
    try:
        server.wait_for(("127.0.0.1", port))
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()


@pytest.fixture
def locust() -> Locust:
    """Run `locust -f loadtest --headless` to its end."""

    def run(*arguments: str, host: str | None, seconds: float = 2) -> Outcome:
        command = [str(PROGRAMS / "locust"), "-f", "loadtest", "--headless", "--only-summary", "-r", "100"]
        command += ["-t", f"{seconds:g}s", *(["--host", host] if host is not None else []), *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50)
        return Outcome(done.returncode, done.stdout + done.stderr)

    return run
