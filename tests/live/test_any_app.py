"""What the server gives an app that brings nothing: request ids, records, limits, a row in the table of workers."""

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.harness.client import Address, Answer, Connection, EventStream, request
from tests.harness.processes import pause, until
from tests.harness.stack import Server, behind_nginx, serving
from tests.harness.websocket import WebSocket
from tests.live.sites import Site

SECONDS = 10.0

# No lifespan, no framework, no ids, no errors caught.
TEN_LINES = """
async def application(scope, receive, send):
    assert scope["type"] != "lifespan"
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
    elif scope["path"] in ("/events", "/parts"):
        kind = b"text/event-stream; charset=utf-8" if scope["path"] == "/events" else b"application/x-ndjson"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": b"data: 1\\n\\n", "more_body": True})
    elif scope["path"] != "/wait":
        await send({"type": "http.response.start", "status": 200 if scope["path"] == "/" else 1 // 0, "headers": []})
        return await send({"type": "http.response.body", "body": b"old"})
    while (await receive())["type"].partition(".")[2] != "disconnect":
        pass
"""

KINDS = {
    "function": "",
    "instance": """
class App:
    def __init__(self, app):
        self.app = app
    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)
application = App(application)
""",
    "factory": """
app = application
def application():
    return app
""",
    "ASGI 2 class": """
app = application
class application:
    def __init__(self, scope):
        self.scope = scope
    async def __call__(self, receive, send):
        await app(self.scope, receive, send)
""",
    "ASGI 2 function": """
app = application
def application(scope):
    async def instance(receive, send):
        await app(scope, receive, send)
    return instance
""",
}


def records(server: Server) -> list[dict[str, Any]]:
    """Return the access records so far."""
    return [json.loads(line) for line in server.log().splitlines() if '"logger":"access"' in line]


async def record_of(server: Server, answer: Answer) -> dict[str, Any]:
    """Return the only record with the id of an answer."""
    request_id = answer.headers["x-request-id"]
    await until(lambda: server.logged(f'"request_id":"{request_id}"'), SECONDS, "the record")
    (record,) = [record for record in records(server) if record["request_id"] == request_id]
    return record


async def opened(server: Server) -> dict[str, int]:
    """Return the numbers of open requests, streams and websockets of all workers, from the table."""
    code, output = await server.ctl("status")
    assert code == 0, output
    rows = json.loads(output)["table"]
    return {kind: sum(row["open"][kind] for row in rows) for kind in ("requests", "streams", "websockets")}


async def until_opened(server: Server, **expected: int) -> None:
    async with asyncio.timeout(SECONDS):
        while await opened(server) != {"requests": 0, "streams": 0, "websockets": 0, **expected}:
            await pause()


@pytest.mark.parametrize("kind", KINDS)
async def test_one_id_from_end_to_end(site: Site, kind: str) -> None:
    """The answer's header, nginx's line and the record have the same id, whatever kind of app it is."""
    site.write(TEN_LINES + KINDS[kind])
    with serving(site.name, workers=1, **site.options, ACCESS_LOG="1") as server, behind_nginx(server) as proxy:
        answer = await request(proxy.address, "GET", "/?a=1")
        record = await record_of(server, answer)
        await until(lambda: proxy.logged(answer.headers["x-request-id"]), SECONDS, "nginx's line")

        (pid,) = server.pids()
        assert {**record, "time": "", "duration": 0, "ttfb": 0} == {
            "time": "",
            "level": "INFO",
            "logger": "access",
            "message": "request",
            "method": "GET",
            "route": None,
            "path": "/",
            "request_id": answer.headers["x-request-id"],
            "trace_id": answer.headers["x-request-id"],
            "span_id": answer.headers["x-request-id"][:16],
            "status": 200,
            "duration": 0,
            "ttfb": 0,
            "bytes_in": 0,
            "bytes_out": 3,
            "client": "127.0.0.1",
            "slot": 0,
            "pid": pid,
        }


async def test_app_that_raises(site: Site) -> None:
    """An error that the app leaves to the server is a 500 as problem details, and the log has its reason by the id."""
    site.write(TEN_LINES)
    with serving(site.name, workers=1, **site.options, ACCESS_LOG="1") as server:
        answer = await request(server.address(), "GET", "/raises")
        record = await record_of(server, answer)

        assert (answer.status, answer.headers["content-type"]) == (500, "application/problem+json")
        assert json.loads(answer.body)["request_id"] == answer.headers["x-request-id"]
        assert record["status"] == 500
        assert server.logged("ZeroDivisionError")


async def refused(address: Address, target: str) -> Answer:
    answer = await request(address, "GET", target, b"", "X-Request-ID: id-1")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.body)["request_id"] == answer.headers["x-request-id"]
    return answer


async def test_limits(site: Site) -> None:
    """Each kind has its own limit, above which it gets a 503, while other kinds and health checks are served."""
    site.write(TEN_LINES)
    limits = {"MAX_REQUESTS_IN_FLIGHT": "2", "MAX_STREAMS": "3", "MAX_WEBSOCKETS": "2", "READY_PATH": "/parts"}
    with serving(site.name, workers=1, **site.options, **limits) as server, behind_nginx(server) as proxy:
        address = server.address()
        async with AsyncExitStack() as stack:
            for _ in range(3):
                stack.push_async_callback((await EventStream.open(address)).close)
            for _ in range(2):
                stack.push_async_callback((await WebSocket.open(address)).close)
            await refused(proxy.address, "/events")
            with pytest.raises(ConnectionError, match="503"):
                await WebSocket.open(address)
            assert (await request(proxy.address, "GET", "/")).status == 200
            waiting = [asyncio.create_task(request(address, "GET", "/wait")) for _ in range(2)]
            await until_opened(server, requests=2, streams=3, websockets=2)
            await refused(proxy.address, "/")
            stack.push_async_callback((await _open_parts(address)).close)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        await until_opened(server)

        assert (await request(address, "GET", "/")).status == 200


async def _open_parts(address: Address) -> EventStream:
    """Request the ready path, which is answered in spite of the limits."""
    connection = await Connection.open(address)
    connection.send("GET", "/parts")
    assert (await connection.head())[0] == 200
    return EventStream(connection)


async def test_streams_leave_room_for_requests(site: Site) -> None:
    """More streams than requests may be open, announced as event streams or not, and requests are still answered."""
    site.write(TEN_LINES)
    with serving(site.name, workers=1, **site.options, MAX_REQUESTS_IN_FLIGHT="20") as server:
        async with AsyncExitStack() as stack:
            for _ in range(60):
                stack.push_async_callback((await EventStream.open(server.address())).close)
            for streams in (75, 90, 105, 120):
                for _ in range(15):
                    stack.push_async_callback((await _open_parts(server.address())).close)
                await until_opened(server, streams=streams)

            assert (await request(server.address(), "GET", "/")).status == 200


async def test_table_of_workers(site: Site) -> None:
    """The table has a row for each process, with its slot and its counts, and none for a process that has ended."""
    site.write(TEN_LINES)

    async def table() -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads((await server.ctl("status"))[1])["table"]
        return rows

    with serving(site.name, workers=2, **site.options) as server:
        for slot, times in ((0, 3), (1, 5)):
            for _ in range(times):
                await request(server.address(slot), "GET", "/")
        async with asyncio.timeout(SECONDS):
            while sum(row["requests"] for row in await table()) != 8:
                await pause()
        rows = await table()
        assert [(row["slot"], row["requests"]) for row in rows] == [(0, 3), (1, 5)]
        assert {row["pid"] for row in rows} == set(server.pids())
        assert (await server.reload())[0] == 0
        await until(lambda: len(server.pids()) == 2, SECONDS, "the end of the old workers")

        assert [(row["slot"], row["requests"]) for row in await table()] == [(0, 0), (1, 0)]


async def test_table_without_slots(site: Site) -> None:
    """Workers that share a listener have a row each."""
    site.write(TEN_LINES)
    with serving(site.name, workers=2, slots="shared", **site.options) as server:
        rows = json.loads((await server.ctl("status"))[1])["table"]

        assert [row["slot"] for row in rows] == [None, None]
        assert {row["pid"] for row in rows} == set(server.pids())
