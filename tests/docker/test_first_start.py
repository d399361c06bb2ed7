"""A first start in containers that is interrupted or fails leaves nothing that hinders the next one."""

import signal
from collections.abc import Iterator

import pytest

from slipway.ops import wait
from tests.docker.conftest import Containers
from tests.harness.processes import short_folder

pytestmark = pytest.mark.timeout(300)

STAGES = ("image", "Redis", "PRESTART", "containers")
BY_TURNS = [
    pytest.param((signal.SIGINT, signal.SIGKILL), id="interrupted-first"),
    pytest.param((signal.SIGKILL, signal.SIGINT), id="killed-first", marks=pytest.mark.suite),
]


@pytest.fixture
def project() -> Iterator[Containers]:
    """A project without containers, with SQLite, so that it starts quickly."""
    with short_folder() as folder:
        project = Containers(folder)
        project.env["DATABASE_URL"] = "sqlite:////data/slipway.db"
        try:
            yield project
        finally:
            project.compose("--profile", "redis", "--profile", "migrate", "down", "--volumes", "--remove-orphans")


@pytest.mark.parametrize("numbers", BY_TURNS)
def test_interrupted_at_every_stage(project: Containers, numbers: tuple[int, int]) -> None:
    """After SIGINT or SIGKILL at each stage, `make up` succeeds, also after an interrupted `make down`."""
    for place, stage in enumerate(STAGES):
        project.interrupt("up", stage, numbers[place % 2])
    project.up()
    assert wait.get(f"{project.url}/readyz")[0] == 200
    project.interrupt("down", "stopping", numbers[0])
    project.up()

    assert {*project.compose("ps", "--all", "--services").split()} == {"app", "nginx", "redis"}
    assert wait.get(f"{project.url}/readyz")[0] == 200


def test_failing_prestart(project: Containers) -> None:
    """A failing PRESTART's own error is printed once, and nothing runs."""
    done = project.make("up", PRESTART="python -c 'raise RuntimeError(\"no such column\")'")

    assert done.returncode != 0
    assert done.stderr.count("RuntimeError: no such column") == 1, done.stderr
    assert project.compose("ps", "--all", "--services").split() == []
