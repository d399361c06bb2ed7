"""Examples as images, in the stack's containers: locked, built and served by the project's verbs."""

import json
import os
import shutil
from collections.abc import Iterator

import pytest

from slipway.ops.locks import compile_locks
from tests.docker.conftest import Containers
from tests.harness.client import Address, request
from tests.harness.processes import short_folder
from tests.harness.websocket import TEXT, WebSocket
from tests.own.trees import make_example

pytestmark = [pytest.mark.timeout(900), pytest.mark.suite]  # two more images are built
NAMES = ("django", "fastapi")


@pytest.fixture(scope="module", params=NAMES)
def example(request: pytest.FixtureRequest) -> Iterator[tuple[str, Containers]]:
    """The name of an example and its running containers."""
    name = request.param
    with short_folder() as folder:
        root = folder / "tree"
        make_example(root, name)
        shutil.rmtree(root / "requirements")
        compile_locks(root, [])
        image = f"slipway-{name}-{os.getpid()}"
        containers = Containers(folder, root, image)
        try:
            containers.up()
            yield name, containers
        finally:
            containers.compose("down", "--volumes", "--remove-orphans")
            images = containers.docker("images", "--format", "{{.Repository}}:{{.Tag}}", image).split()
            containers.docker("image", "rm", "--force", *images)


async def test_it_is_served(example: tuple[str, Containers]) -> None:
    """An example serves JSON in and out, addresses as the client sees them, and a websocket."""
    name, containers = example
    address: Address = ("127.0.0.1", containers.port)
    home = await request(address, "GET", "/")
    made = await request(address, "POST", "/items", b'{"name": "boat"}', "Content-Type: application/json")
    socket = await WebSocket.open(address, "/ws")
    socket._frames.send(b"ahoy")
    echoed = await socket.frame()
    await socket.close()

    assert home.body == f"Hello from {name}\n".encode()
    assert (made.status, json.loads(made.body)["name"]) == (201, "boat")
    assert made.headers["location"].startswith("http://localhost/items/")
    assert echoed == (TEXT, b"ahoy")


def test_it_is_reloaded_and_deployed(example: tuple[str, Containers]) -> None:
    """`make reload` and `make deploy` succeed on an example."""
    for verb in ("reload", "deploy"):
        done = example[1].make(verb)
        assert done.returncode == 0, done.stdout + done.stderr
