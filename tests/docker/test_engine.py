"""After a restart or a sudden end of the Docker engine, all services come back and are reported healthy."""

import signal
import subprocess
from collections.abc import Iterator

import pytest

from slipway.ops.settings import ROOT
from tests.docker.engine import Engine, EngineContainers, is_possible
from tests.docker.test_healing import healed
from tests.harness.processes import short_folder

pytestmark = [
    pytest.mark.suite,  # images are copied, and an engine takes long to stop
    pytest.mark.timeout(900),
    pytest.mark.skipif(not is_possible(), reason="an engine of one's own takes root, dockerd and ip"),
]

IMAGES = ("nginx:1.30", "postgres:17", "redis:8")


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with short_folder() as folder:
        engine = Engine(folder)
        engine.start()
        yield engine
        engine.close()


@pytest.fixture(scope="module")
def stack(engine: Engine) -> Iterator[EngineContainers]:
    """The stack, with an image that was built on the machine's engine."""
    with short_folder() as folder:
        image = f"slipway-engine:{folder.name}"
        build = ["docker", "build", "--quiet", "--target", "app", "--tag", image, str(ROOT)]
        subprocess.run(build, check=True, capture_output=True)
        try:
            engine.load(image, *IMAGES)
        finally:
            subprocess.run(["docker", "image", "rm", image], capture_output=True)
        stack = EngineContainers(folder, engine, image)
        stack.up()
        yield stack
        stack.compose("down", "--volumes", "--remove-orphans")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_engine_is_started_again(engine: Engine, stack: EngineContainers, number: int) -> None:
    """The stack heals whatever order the engine starts its containers in, as after a reboot and after a crash."""
    healed(stack)
    engine.stop(number)
    engine.start()

    healed(stack)


def test_all_are_restarted_by_compose(stack: EngineContainers) -> None:
    """The stack heals after one `docker compose restart` of all services."""
    stack.compose("restart")

    healed(stack)
