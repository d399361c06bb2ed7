"""Each example as a user's project behind nginx in the local runtime: one table of rows for all of them."""

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import pytest

from slipway.ops import wait
from tests.examples.cases import EXAMPLES, Example
from tests.harness.client import Address, Answer, Connection, request
from tests.harness.load import Load, Request
from tests.harness.processes import short_folder, until
from tests.harness.servers import redis
from tests.harness.websocket import TEXT, WebSocket
from tests.live.sites import SHORT
from tests.own.trees import Tree, make_example

pytestmark = pytest.mark.timeout(120)
SECONDS = 10.0
HOST = "shop.example:8123"
BODY = os.urandom(300_000)
DIGEST = hashlib.sha256(BODY).hexdigest()


class Stack(Tree):
    """A running example."""

    def __init__(self, example: Example, folder: Any) -> None:
        super().__init__(folder, lambda root: make_example(root, example.name))
        self.example = example
        self.address: Address = ("127.0.0.1", self.port)

    def need(self, row: str) -> None:
        """Skip the test for an example that leaves this row out; tests/examples/cases.py has the reason."""
        if not self.example.has(row):
            pytest.skip(f"{self.example.name} has none")

    async def get(self, target: str, *headers: str) -> Answer:
        return await request(self.address, "GET", target, b"", *headers)

    async def json(self, target: str, *headers: str) -> Any:
        answer = await self.get(target, *headers)
        assert answer.status == 200, answer
        return json.loads(answer.body)

    def worker(self) -> int:
        """Return the process id of a serving worker."""
        pids: list[int] = json.loads((self.folder / "app" / "app.json").read_text())["serving"]
        return pids[0]

    def records(self, text: str) -> list[dict[str, Any]]:
        """Return the records of the server's log that contain this text."""
        lines = (self.folder / "log" / "app.log").read_text().splitlines()
        return [json.loads(line) for line in lines if text in line]

    async def load(self) -> list[Request]:
        """Return a GET and a POST, each with the app's present answer."""
        targets = [("GET", "/items/7", b""), ("POST", "/files", BODY[:5_000])]
        if not self.example.has("routes"):
            targets = [("GET", "/", b""), ("POST", "/", BODY[:5_000])]
        answers = [await request(self.address, *target) for target in targets]
        assert [answer.status for answer in answers] == [200, 200], answers
        return [Request(*target, answer.body) for target, answer in zip(targets, answers, strict=True)]


def _parameter(example: Example) -> Any:
    return pytest.param(example, id=example.name, marks=() if example.in_test else pytest.mark.suite)


@pytest.fixture(scope="module", params=map(_parameter, EXAMPLES))
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The example, made and started once for all rows."""
    with ExitStack() as opened:
        folder = opened.enter_context(short_folder())
        stack = Stack(request.param, folder)
        bus = {"BUS_URL": opened.enter_context(redis()).url} if stack.example.redis else {}
        stack.set(**{**SHORT, "TIMEOUT": "30"}, **bus)
        opened.callback(stack, "down")
        done = stack("up")
        assert done.returncode == 0, done.stdout + done.stderr
        yield stack


async def test_greeting(stack: Stack) -> None:
    """The example answers with its greeting."""
    answer = await stack.get("/")

    assert (answer.status, answer.body) == (200, f"Hello from {stack.example.name}\n".encode())


async def test_json(stack: Stack) -> None:
    """A path parameter is returned as JSON."""
    stack.need("routes")

    assert await stack.json("/items/12") == {"id": 12, "name": "item 12"}


async def test_item_is_made(stack: Stack) -> None:
    """A JSON body makes an item, and the answer has the item's address."""
    stack.need("routes")
    kind = "Content-Type: application/json"
    answer = await request(stack.address, "POST", "/items", b'{"name": "boat"}', kind)
    made = json.loads(answer.body)

    assert (answer.status, made["name"]) == (201, "boat")
    assert answer.headers["location"] == f"http://localhost/items/{made['id']}"


@pytest.mark.parametrize("body", [b"{", b"[1]", b"\xff"])
async def test_wrong_json(stack: Stack, body: bytes) -> None:
    """Wrong JSON is a client error."""
    stack.need("routes")
    answer = await request(stack.address, "POST", "/items", body, "Content-Type: application/json")

    assert answer.status in (400, 422), answer


async def test_upload(stack: Stack) -> None:
    """A large body arrives complete."""
    stack.need("routes")
    answer = await request(stack.address, "POST", "/files", BODY, "Content-Type: application/octet-stream")

    assert json.loads(answer.body) == {"bytes": len(BODY), "sha256": DIGEST}


async def test_too_much(stack: Stack) -> None:
    """A body over the limit is refused before it reaches the app."""
    answer = await request(stack.address, "POST", "/files", bytes(1_100_000))

    assert (answer.status, answer.headers["content-type"]) == (413, "application/problem+json")


async def test_redirect(stack: Stack) -> None:
    """A redirect leads to the client's own host and port."""
    stack.need("routes")
    async with await Connection.open(stack.address) as connection:
        connection.writer.write(f"GET /old HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        answer = await connection.answer()

    assert (answer.status, answer.headers["location"]) == (307, f"http://{HOST}/items/7")


async def test_scheme(stack: Stack) -> None:
    """The scheme that nginx forwards is in the addresses that the app makes."""
    stack.need("routes")
    forwarded = ("X-Forwarded-Proto: https", "X-Forwarded-For: 127.0.0.1")
    answer = await request(str(stack.folder / "app" / "slot-0.sock"), "GET", "/client", b"", *forwarded)

    assert json.loads(answer.body)["url"] == "https://localhost/items/7"


async def test_client_s_address(stack: Stack) -> None:
    """The app sees the client's real address, whatever the client claims."""
    stack.need("routes")

    assert (await stack.json("/client", "X-Forwarded-For: 1.2.3.4"))["client"] == "127.0.0.1"


async def test_websocket(stack: Stack) -> None:
    """A websocket's text is echoed."""
    stack.need("websocket")
    socket = await WebSocket.open(stack.address, "/ws")
    socket._frames.send(b"ahoy")

    assert await asyncio.wait_for(socket.frame(), SECONDS) == (TEXT, b"ahoy")
    await socket.close()


async def test_events_come_one_by_one(stack: Stack) -> None:
    """nginx does not hold events back."""
    stack.need("events")
    async with events(stack) as stream:
        pieces = [await asyncio.wait_for(anext(stream), SECONDS) for _ in range(3)]

    assert pieces == [b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n"]


@asynccontextmanager
async def events(stack: Stack) -> AsyncIterator[AsyncIterator[bytes]]:
    """Yield the pieces of an event stream as they arrive."""
    async with await Connection.open(stack.address) as connection:
        connection.send("GET", "/events")
        status, fields = await asyncio.wait_for(connection.head(), SECONDS)
        assert (status, fields["content-type"].partition(";")[0]) == (200, "text/event-stream")
        yield connection.chunks()


async def test_lifespan(stack: Stack) -> None:
    """The lifespan has started before the first request."""
    stack.need("lifespan")

    assert await stack.json("/started") == {"lifespan": True}


async def test_drain_ends_streams(stack: Stack) -> None:
    """The `draining` event reaches the app in time: during a reload its streams end with a last event."""
    stack.need("events")
    async with events(stack) as stream, asyncio.timeout(3 * SECONDS):
        assert await anext(stream)
        reload = await asyncio.to_thread(stack, "reload")
        assert reload.returncode == 0, reload.stderr

        assert b"".join([piece async for piece in stream]).endswith(b"event: bye\ndata:\n\n")


async def test_reload_loses_nothing(stack: Stack) -> None:
    """A reload loses no GET or POST, on kept connections and on new ones."""
    async with Load(stack.address, await stack.load(), kept=4, fresh=4, rate=150) as load:
        reload = await asyncio.to_thread(stack, "reload")
        await load.until(load.report.total + 100)

    assert reload.returncode == 0, reload.stderr
    assert not load.report.lost


async def test_killed_worker(stack: Stack) -> None:
    """After a worker is killed, GETs wait for its successor, and none is lost."""
    get = [request for request in await stack.load() if request.method == "GET"]
    async with Load(stack.address, get, kept=2, fresh=2, rate=100) as load:
        await load.until(50)
        pid = stack.worker()
        os.kill(pid, signal.SIGKILL)
        await until(lambda: stack.worker() != pid, SECONDS, "the successor")
        await load.until(load.report.total + 100)

    assert not load.report.lost


async def test_access_record(stack: Stack) -> None:
    """The request id of an answer leads to one record."""
    answer = await stack.get("/?a=1")
    request_id = answer.headers["x-request-id"]
    assert await asyncio.to_thread(wait.until, lambda: stack.records(f'"request_id":"{request_id}"'), SECONDS)
    (record,) = stack.records(f'"request_id":"{request_id}"')

    assert (record["path"], record["status"], record["client"]) == ("/", 200, "127.0.0.1")
    assert record["bytes_out"] == len(answer.body)


async def test_metrics(stack: Stack) -> None:
    """The server counts its requests."""
    await stack.get("/")
    answer = await request(str(stack.folder / "app" / "app.stats"), "GET", "/metrics")

    assert b"http_server_request_duration_seconds_count{" in answer.body


def test_its_own_tests(stack: Stack) -> None:
    """The tests of the example pass in the project."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=stack.root, capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stdout + done.stderr
