"""After SIGTERM a server may keep serving while it is not ready, so that balancers that poll it go elsewhere."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.harness.client import Connection, EventStream, request
from tests.harness.processes import until
from tests.harness.stack import Server, serving
from tests.live.sites import Site, source

SECONDS = 3.0
LONG = 30.0  # longer than any test waits
ENDS = 10.0  # for the shortest ladder of time-outs and the end of the processes
OPTIONS = {"DRAIN_SECONDS": "1.5", "GRACEFUL_TIMEOUT": "4", "READY_PATH": "/readyz"}

# Answers at the ready path of an app that knows nothing of a stop.
APPS = {
    "always ready": "pass",
    "a redirect": "await send({'type': 'http.response.start', 'status': 302, 'headers': [(b'location', b'/')]}); "
    "await send({'type': 'http.response.body', 'body': b''}); return",
    "in parts": "await send({'type': 'http.response.start', 'status': 204}); "
    "await send({'type': 'http.response.body', 'body': b'', 'more_body': True}); "
    "await send({'type': 'http.response.body', 'body': b''}); return",
}


async def until_not_ready(server: Server) -> None:
    """Poll the ready path of each worker, as a balancer does, until it is not ready."""
    async with asyncio.timeout(ENDS):
        for slot in range(server.workers):
            while (await request(server.address(slot), "GET", "/readyz")).status != 503:
                pass


async def stop(server: Server) -> float:
    """Send SIGTERM and wait until no worker is ready; return the time of the signal."""
    server.signal(signal.SIGTERM)
    begun = time.monotonic()
    await until_not_ready(server)
    return begun


@contextmanager
def small(site: Site) -> Iterator[Server]:
    """Run a server that stays not ready for long before it stops."""
    options = {**site.options, **OPTIONS, "TIMEOUT": "30", "LAME_DUCK_SECONDS": f"{LONG}", "STOP_GRACE_PERIOD": "60"}
    with serving(site.name, workers=1, **options) as server:
        yield server


@pytest.fixture
def shipped() -> Iterator[Server]:
    with serving(workers=2, LAME_DUCK_SECONDS=f"{SECONDS}", **OPTIONS) as server:
        yield server


async def test_all_is_served_and_accepted_until_the_stop(shipped: Server) -> None:
    """Until the stop the app says why it is not ready, streams, kept and new connections go on, and nothing is lost."""
    stream = await EventStream.open(shipped.address())
    async with await Connection.open(shipped.address()) as kept:
        begun = await stop(shipped)
        answer = await request(shipped.address(), "GET", "/readyz")
        assert json.loads(answer.body)["checks"]["draining"] == "fail"
        while time.monotonic() < begun + SECONDS - 1:
            assert (await kept.request("GET", "/plaintext")).status == 200
            assert kept.reusable
            assert (await request(shipped.address(1), "GET", "/livez")).status == 200
        await stream.until("event: worker")

        assert await shipped.exit_code(ENDS + 1) == 0
        await stream.close()
        assert time.monotonic() - begun >= SECONDS


@pytest.mark.parametrize("kind", APPS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_app_that_knows_nothing_of_it(site: Site, kind: str, method: str) -> None:
    """The server answers 503 as problem details at the ready path, whatever success the app would answer."""
    site.write(source(body=APPS[kind]))
    with small(site) as server:
        await stop(server)
        async with await Connection.open(server.address()) as connection:
            connection.send(method, "/readyz")
            status, fields = await connection.head()
            body = b"" if method == "HEAD" else await connection.reader.readexactly(int(fields["content-length"]))
            other = None if method == "HEAD" else (await connection.request("GET", "/other")).status
        server.signal(signal.SIGTERM)

        assert (status, fields["content-type"], fields["retry-after"]) == (503, "application/problem+json", "1")
        assert method == "HEAD" or json.loads(body)["detail"] == "The server is about to stop."
        assert other in (None, 200, 204, 302)
        assert await server.exit_code(ENDS) == 0


async def test_worker_that_dies_meanwhile_is_replaced(site: Site) -> None:
    """A worker that dies meanwhile gets a successor, which serves and is not ready either."""
    with small(site) as server:
        (old,) = server.pids()
        await stop(server)
        os.kill(old, signal.SIGKILL)
        await until(lambda: server.pids() not in ([], [old]), ENDS, "a successor")
        await until_not_ready(server)

        assert (await request(server.address(), "GET", "/other")).status == 200
        server.signal(signal.SIGTERM)
        assert await server.exit_code(ENDS) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
async def test_second_signal_ends_it(site: Site, number: signal.Signals) -> None:
    """A second signal ends the server at once, for an operator who does not want to wait."""
    with small(site) as server:
        begun = await stop(server)
        server.signal(number)

        assert await server.exit_code(ENDS) == 0
        assert time.monotonic() - begun < LONG


async def test_reload_needs_none(site: Site) -> None:
    """A worker that is replaced by a reload has a successor, so it drains at once."""
    with small(site) as server:
        async with asyncio.timeout(LONG):
            code, output = await server.ctl("reload")

        assert code == 0, output
        assert (await request(server.address(), "GET", "/readyz")).status == 200
        server.signal(signal.SIGQUIT)
        assert await server.exit_code(ENDS) == 0
