"""REQUEST_TIMEOUT on real servers: a request that takes longer is a 504, while streams and websockets stay open."""

import asyncio
import json
import time
from collections.abc import Iterator

import pytest

from tests.harness.client import SECONDS, Address, EventStream, request
from tests.harness.stack import Server, behind_nginx, serving
from tests.harness.websocket import Frames

LONG = "/wait?ms=10000"
NOTICED = 3.0  # seconds: REQUEST_TIMEOUT, half a second until the worker checks, and a busy machine


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The shipped app, with a limit of one second per request."""
    with serving(workers=1, REQUEST_TIMEOUT="1") as started:
        yield started


@pytest.fixture(scope="module", params=["worker", "nginx"])
def address(request: pytest.FixtureRequest, server: Server) -> Iterator[Address]:
    """The address that a client connects to."""
    if request.param == "worker":
        yield server.address()
    else:
        with behind_nginx(server) as proxy:
            yield proxy.address


async def test_late_request_is_a_504(server: Server, address: Address) -> None:
    """A request that takes too long gets a 504 as problem details once REQUEST_TIMEOUT is over."""
    start = time.monotonic()
    answers = await asyncio.gather(*(request(address, "GET", LONG) for _ in range(5)))
    seconds = time.monotonic() - start

    assert 1 <= seconds < NOTICED
    for answer in answers:
        assert (answer.status, answer.headers["content-type"]) == (504, "application/problem+json")
        assert answer.headers["retry-after"] == "1"
        assert json.loads(answer.body)["request_id"] == answer.headers["x-request-id"]


async def test_request_in_time_is_answered(address: Address) -> None:
    """A request that takes less than REQUEST_TIMEOUT is answered as usual."""
    assert (await request(address, "GET", "/wait?ms=300")).status == 200


async def test_streams_and_websockets_stay(address: Address) -> None:
    """An event stream and a websocket stay open and carry messages long after REQUEST_TIMEOUT."""
    came: asyncio.Queue[bytes] = asyncio.Queue()
    stream = await EventStream.open(address)
    socket = await Frames.open(address, "/ws/echo", lambda opcode, payload: came.put_nowait(payload))
    assert (await request(address, "GET", LONG)).status == 504
    assert (await request(address, "GET", LONG)).status == 504

    socket.send(b"still here")
    async with asyncio.timeout(SECONDS):
        assert await came.get() == b"still here"
    await stream.until("event: worker")
    await stream.close()
    socket.transport.close()


async def test_a_late_request_is_in_the_log(server: Server) -> None:
    """A late request is logged in one record, with its id and without a traceback."""
    answer = await request(server.address(), "GET", LONG)
    wanted = answer.headers["x-request-id"]
    async with asyncio.timeout(SECONDS):
        while not (found := [record for record in server.records() if record.get("request_id") == wanted]):
            await request(server.address(), "GET", "/livez")

    assert [record["level"] for record in found] == ["ERROR"]
    assert "REQUEST_TIMEOUT" in found[0]["message"]
    assert "exc_info" not in found[0]
