"""Lists of containers while another command removes them."""

import subprocess
from collections.abc import Callable, Iterator

import pytest

from slipway.ops import compose_view
from slipway.ops.console import Failure
from slipway.ops.containers import AppContainers
from slipway.ops.engine import LABEL, Engine
from slipway.ops.services import ComposeServices
from slipway.ops.settings import StackSettings
from tests.harness.processes import free_ports

COUNT = 20  # enough for a look at one after another to meet a removed one
IMAGE = "python:3.13-slim"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """The engine, with a project of its own."""
    port = free_ports()
    monkeypatch.setenv("HTTP_PORT", str(port))
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", f"slipway-listed-{port}")
    engine = Engine(StackSettings.load())
    yield engine
    for container in engine.containers():
        engine.docker("rm", "--force", container)


def status(engine: Engine) -> None:
    try:
        compose_view.status(engine, engine.settings)
    except Failure as failure:
        assert "nothing runs" in str(failure) or "is stopped" in str(failure)


LOOKS: dict[str, Callable[[Engine], object]] = {
    "status": status,
    "services": lambda engine: ComposeServices(engine, engine.settings).names(),
    "app": lambda engine: AppContainers(engine, 1).all(),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS.keys())
def test_containers_that_are_removed_meanwhile(engine: Engine, look: Callable[[Engine], object]) -> None:
    """A container removed between the list and a closer look is left out, and the others are listed."""
    for number in range(COUNT):
        labels = {
            "project": engine.project,
            "service": "app",
            "oneoff": "False",
            "container-number": str(number),
            "config-hash": "0",
        }
        options = [word for name, value in labels.items() for word in ("--label", f"{LABEL}.{name}={value}")]
        engine.docker("create", *options, IMAGE, "true")
    made = engine.containers("app")
    assert len(made) == COUNT

    with subprocess.Popen(["docker", "rm", *made], stdout=subprocess.DEVNULL) as removal:
        looks = 0
        while removal.poll() is None:
            look(engine)
            looks += 1

    assert looks > 1
    assert engine.containers() == []
