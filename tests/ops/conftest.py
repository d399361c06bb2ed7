"""`make` as a user types it, in a folder of its own beside a stack that may be running."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.ops.settings import ROOT
from slipway.project import Project
from tests.harness.prepared import prepare
from tests.harness.processes import free_ports, is_alive, short_folder

VERB_SECONDS = 90


class Verbs:
    """Runs `make VERB` with the settings of this test."""

    seconds = VERB_SECONDS

    def __init__(self, folder: Path, root: Path = ROOT) -> None:
        self.folder = folder
        self.root = root
        self.port = free_ports()
        self.https_port = free_ports()
        self.url = f"http://127.0.0.1:{self.port}"
        self.settings = {
            "RUNTIME": "local",
            "RUN_DIR": str(folder),
            "HTTP_PORT": str(self.port),
            "HTTPS_PORT": str(self.https_port),
            "WEB_CONCURRENCY": "2",
        }
        (folder / "venv").symlink_to(Path(sys.executable).parent.parent)

    def migrate(self) -> None:
        """Create the shipped app's database as PRESTART leaves it, which would take half a second at each start."""
        prepare(self.folder / "data", Project.read().prestart)
        self.settings["PRESTART"] = "none"

    def __call__(self, verb: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        return self._run(["make", f"PYTHON={sys.executable}", verb], settings)

    def module(self, verb: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        """Run a verb without make, whose exit code after any failure is 2."""
        return self._run([sys.executable, "-m", "slipway.ops", verb], settings)

    def environment(self, **settings: str) -> dict[str, str]:
        """Return the environment of a verb."""
        return {**os.environ, **self.settings, **settings}

    def _run(self, command: list[str], settings: dict[str, str]) -> "subprocess.CompletedProcess[str]":
        env = self.environment(**settings)
        return subprocess.run(command, cwd=self.root, env=env, capture_output=True, text=True, timeout=self.seconds)

    def pids(self) -> list[int]:
        """Return the pids of all processes that have a path in this test's folder on their command line."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                command = path.read_bytes()
            except OSError:
                continue
            if f"{self.folder}/".encode() in command and int(path.parent.name) != os.getpid():
                found.append(int(path.parent.name))
        return [pid for pid in found if is_alive(pid)]


@pytest.fixture
def make(new_make: Verbs) -> Verbs:
    """The verbs, with an up-to-date database."""
    new_make.migrate()
    return new_make


@pytest.fixture
def new_make() -> Iterator[Verbs]:
    """The verbs before the first start; whatever they have started is stopped at the end."""
    with short_folder() as folder:
        verbs = Verbs(folder)
        yield verbs
        verbs("down")
