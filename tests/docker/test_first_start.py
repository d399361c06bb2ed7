"""A first start in containers that does not come to its end: nothing is left in the way of the next one."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from slipway.ops import wait
from slipway.ops.settings import ROOT
from tests.docker.conftest import Containers
from tests.harness.processes import short_folder

pytestmark = pytest.mark.timeout(300)

STAGES = ("image", "Redis", "PRESTART", "containers")
BY_TURNS = {"interrupted-first": (signal.SIGINT, signal.SIGKILL), "killed-first": (signal.SIGKILL, signal.SIGINT)}


@pytest.fixture
def project() -> Iterator[Containers]:
    """A project of which nothing runs, with SQLite, so that it starts quickly."""
    with short_folder() as folder:
        project = Containers(folder)
        project.env["DATABASE_URL"] = "sqlite:////data/slipway.db"
        try:
            yield project
        finally:
            project.compose("--profile", "redis", "--profile", "migrate", "down", "--volumes", "--remove-orphans")


def interrupt(project: Containers, stage: str, number: int) -> None:
    """Begin a start, and send a signal to all its processes when a stage has begun."""
    with subprocess.Popen(
        ["make", f"PYTHON={sys.executable}", "up"],
        cwd=ROOT,
        env=project.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as verb:
        assert verb.stdout
        said = b""
        while stage.encode() not in said and (more := os.read(verb.stdout.fileno(), 1_000)):
            said += more
        os.killpg(verb.pid, number)
    assert stage.encode() in said


@pytest.mark.parametrize("numbers", BY_TURNS.values(), ids=BY_TURNS)
def test_interrupted_at_every_stage(project: Containers, numbers: tuple[int, int]) -> None:
    """By Ctrl-C or by a sudden end, one after the other; then the verb does its work."""
    for place, stage in enumerate(STAGES):
        interrupt(project, stage, numbers[place % 2])
    done = project.make("up")

    assert done.returncode == 0, done.stdout + done.stderr
    assert {*project.compose("ps", "--all", "--services").split()} == {"app", "nginx", "redis"}
    assert wait.get(f"{project.url}/readyz")[0] == 200


def test_failing_prestart(project: Containers) -> None:
    """Its own reason is told, and nothing runs."""
    done = project.make("up", PRESTART="python -c 'raise RuntimeError(\"no such column\")'")

    assert done.returncode != 0
    assert done.stderr.count("RuntimeError: no such column") == 1, done.stderr
    assert project.compose("ps", "--all", "--services").split() == []
