"""Each figure of the server moves when the event that it counts happens."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slipway.serving.server_metrics import CAUSES
from tests.harness.client import Connection, request
from tests.harness.stack import Server, serving
from tests.harness.talking import Pipe, piped
from tests.live.scraping import scraped, until_scraped, value
from tests.live.sites import FAILS_IN_STARTUP, Site, source

pytestmark = pytest.mark.timeout(90)
BODY = """
    import asyncio, gc, os, time
    path = scope["path"]
    if path == "/exit":
        os._exit(5)
    if path == "/block":
        time.sleep(60)
    if path == "/collect":
        gc.collect()
    if path == "/wait":
        while (await receive())["type"] != "http.disconnect":
            pass
    if path == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await send({"type": "http.response.body", "body": b": hello", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        return
"""
RESTARTS, RELOADS, UNCLEAN = "slipway_worker_restarts_total", "slipway_reloads_total", "slipway_unclean_drains_total"


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = Site(tmp_path_factory.mktemp("busy"))
    site.write(source(body=BODY))
    return site


@pytest.fixture(scope="module")
def server(busy: Site) -> Iterator[Server]:
    with serving(busy.name, workers=1, **busy.options) as server:
        yield server


async def told(server: Server, name: str, **labels: str) -> float:
    """Scrape the server and return the value of a figure."""
    return value(await scraped(server), name, **labels)


async def until_told(server: Server, wanted: float, name: str, **labels: str) -> None:
    """Wait until a figure has this value."""
    await until_scraped(server, lambda samples: value(samples, name, **labels) == wanted)


async def test_active_requests(server: Server) -> None:
    """A request is counted as active until it is over."""
    async with await Connection.open(server.address()) as connection:
        connection.send("GET", "/wait")
        await until_scraped(server, lambda samples: value(samples, "http_server_active_requests", slot="0") == 1)
    await until_scraped(server, lambda samples: value(samples, "http_server_active_requests", slot="0") == 0)


async def test_streams(server: Server) -> None:
    """An event stream does not count as a request, and counts as a stream until its client leaves."""
    connection = await Connection.open(server.address())
    connection.send("GET", "/stream")
    samples = await until_scraped(server, lambda samples: value(samples, "slipway_active_streams", slot="0") == 1)
    await connection.close()
    await until_scraped(server, lambda samples: value(samples, "slipway_active_streams") == 0)

    assert value(samples, "slipway_active_websockets") == 0


async def test_garbage_collections(server: Server) -> None:
    """Garbage collections are counted by generation."""
    name = "slipway_worker_garbage_collections_total"
    before = value(await scraped(server), name, slot="0", generation="2")
    for _ in range(3):
        await request(server.address(), "GET", "/collect")

    await until_scraped(server, lambda samples: value(samples, name, slot="0", generation="2") >= before + 3)


@pytest.mark.parametrize(("path", "cause"), [("/exit", "exit"), ("/block", "timeout")])
async def test_restarts_by_cause(server: Server, path: str, cause: str) -> None:
    """The end of a worker is counted under its cause."""
    before = await told(server, RESTARTS, cause=cause)
    with pytest.raises((EOFError, OSError)):
        await request(server.address(), "GET", path)

    await until_told(server, before + 1, RESTARTS, cause=cause)
    await until_scraped(server, lambda samples: value(samples, "slipway_workers_ready") == 1)


async def test_spent_worker(folder: Path, options: dict[str, Any]) -> None:
    """A worker that ends after MAX_REQUESTS counts as spent, not as a failure."""
    settings = {"MAX_REQUESTS": "3", "MAX_REQUESTS_JITTER": "0"}
    with serving(Site.name, workers=1, **options | settings) as server:
        for _ in range(3):
            await request(server.address(), "GET", "/")
        samples = await until_scraped(server, lambda samples: value(samples, RESTARTS, cause="spent") == 1)

    assert sum(value(samples, RESTARTS, cause=cause) for cause in CAUSES) == 1


async def test_unclean_drain(server: Server) -> None:
    """A handler cancelled in a drain makes the drain unclean, and the worker's end has a cause of its own."""
    drains, ends = await told(server, UNCLEAN), await told(server, RESTARTS, cause="unclean")
    async with await Connection.open(server.address()) as connection:
        connection.send("GET", "/wait")
        await until_scraped(server, lambda samples: value(samples, "http_server_active_requests") == 1)
        assert (await server.reload())[0] == 0

    await until_told(server, drains + 1, UNCLEAN)
    await until_told(server, ends + 1, RESTARTS, cause="unclean")


async def test_refused_reload(server: Server, busy: Site) -> None:
    """A refused reload is counted apart from those that were done."""
    refused, done = await told(server, RELOADS, result="refused"), await told(server, RELOADS, result="done")
    busy.write(source(startup=FAILS_IN_STARTUP))
    try:
        assert (await server.reload())[0] != 0
    finally:
        busy.write(source(body=BODY))

    await until_told(server, refused + 1, RELOADS, result="refused")
    await until_told(server, done, RELOADS, result="done")


async def test_dropped_lines(folder: Path, options: dict[str, Any], pipe: Pipe) -> None:
    """Lines dropped because stdout is not read are counted by slot."""
    name = "slipway_log_lines_dropped_total"
    pipe.fill()
    with piped(Server(folder, Site.name, workers=1, **options), pipe) as server:
        await request(server.address(), "GET", "/noise/4000/1000")
        samples = await until_scraped(server, lambda samples: value(samples, name, slot="0") > 0)
        pipe.read()
        server.stop()
    pipe.close()
    lost = sum(record["dropped"] for record in pipe.records() if "dropped" in record)

    assert 0 < value(samples, name) <= lost
