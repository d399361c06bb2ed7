"""Each example below a path prefix, by HTTP and by HTTPS: the addresses that it makes lead back to it."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.examples.cases import EXAMPLES, Example
from tests.examples.test_examples import SECONDS, Stack
from tests.harness.processes import short_folder
from tests.harness.websocket import TEXT, WebSocket
from tests.live.sites import SHORT

pytestmark = [pytest.mark.suite, pytest.mark.timeout(120)]
PREFIX = "/a/shop"
HOST = "shop.example:8123"


@pytest.fixture(scope="module", params=EXAMPLES, ids=[example.name for example in EXAMPLES])
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The example with ROOT_PATH set, made and started once for all rows."""
    example: Example = request.param
    with ExitStack() as opened:
        stack = Stack(example, opened.enter_context(short_folder()))
        stack.set(**{**SHORT, "TIMEOUT": "30"}, ROOT_PATH=PREFIX)
        opened.callback(stack, "down")
        done = stack("up")
        assert done.returncode == 0, done.stdout + done.stderr
        yield stack


async def test_greeting(stack: Stack, client: httpx.AsyncClient) -> None:
    """The example is served below the prefix and nowhere else."""
    answer, outside = await client.get(f"{PREFIX}/"), await client.get("/")

    assert (answer.status_code, answer.text) == (200, f"Hello from {stack.example.name}\n")
    assert outside.status_code == 404


async def test_redirect(stack: Stack, client: httpx.AsyncClient) -> None:
    """A redirect has the client's scheme, host and port, and the prefix."""
    stack.need("routes")
    answer = await client.get(f"{PREFIX}/old", headers={"Host": HOST})

    assert answer.status_code == 307
    assert answer.headers["location"] == f"{client.base_url.scheme}://{HOST}{PREFIX}/items/7"


async def test_address(stack: Stack, client: httpx.AsyncClient) -> None:
    """The address that the app makes of a route has the client's scheme, host and port, and the prefix."""
    stack.need("routes")
    answer = await client.get(f"{PREFIX}/client", headers={"Host": HOST})

    assert answer.json()["url"] == f"{client.base_url.scheme}://{HOST}{PREFIX}/items/7"


async def test_websocket(stack: Stack) -> None:
    """The websocket is served below the prefix."""
    stack.need("websocket")
    socket = await WebSocket.open(stack.address, f"{PREFIX}/ws")
    socket._frames.send(b"ahoy")

    assert await asyncio.wait_for(socket.frame(), SECONDS) == (TEXT, b"ahoy")
    await socket.close()
