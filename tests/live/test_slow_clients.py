"""A thousand slow connections of each kind from one address: it gets its share, and other clients are not affected."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from slipway.ops import nginx
from slipway.ops.edge import CLIENT_CONNECTIONS, of
from slipway.ops.percentile import percentile
from slipway.ops.settings import ROOT
from tests.harness.client import Connection, request
from tests.harness.stack import Nginx, Server, behind_nginx, serving
from tests.live.slow_clients import KINDS

COUNT = 1_000
HEADER_SECONDS = 10.0
SECONDS = 30.0
P99_SECONDS = 0.05
ASKED = 200


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The shipped app."""
    with serving(workers=2) as started:
        yield started


@pytest.fixture
def proxy(server: Server) -> Iterator[Nginx]:
    """An nginx before it that has had no client yet, with the default limits."""
    with behind_nginx(server, of({})) as started:
        yield started


@asynccontextmanager
async def holding(port: int, kind: str) -> AsyncIterator[None]:
    """Hold all connections, which a process of their own opens."""
    command = [sys.executable, "-m", "tests.live.slow_clients", str(port), kind, str(COUNT)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=pipe, stdout=pipe)
    try:
        assert process.stdout
        async with asyncio.timeout(SECONDS):
            assert await process.stdout.readline() == b"open\n"
        yield
    finally:
        process.kill()
        await process.communicate()


def held(port: int) -> int:
    """Return the number of open connections at nginx's port, from the kernel: proc(5), /proc/net/tcp."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "01" for row in rows)


async def asked(proxy: Nginx, count: int = ASKED) -> tuple[set[str], float]:
    """Return the answers of health checks other than 200, and the 99th percentile of the latencies in seconds."""
    bad, latencies = set(), []
    async with asyncio.timeout(SECONDS), await Connection.open(proxy.address) as connection:
        for _ in range(count):
            start = time.perf_counter()
            answer = await connection.request("GET", "/healthz")
            bad |= {answer.body.decode()} if answer.status != 200 else set()
            latencies.append(time.perf_counter() - start)
            await asyncio.sleep(0.005)
    return bad, percentile(latencies, 99)


def share(kind: str) -> int:
    """Return what one address may hold for long: nothing without complete headers, else a client's limit."""
    if kind in ("silent", "headers"):
        return 0
    return of({}).client_uploads if kind == "bodies" else CLIENT_CONNECTIONS


@pytest.mark.parametrize("kind", KINDS)
async def test_one_address_gets_its_share(proxy: Nginx, kind: str) -> None:
    """Connections beyond an address's share are closed, while health checks are answered."""
    async with holding(proxy.port, kind):
        bad, _ = await asked(proxy, 20)
        deadline = time.monotonic() + HEADER_SECONDS
        while (open_now := held(proxy.port)) > share(kind) and time.monotonic() < deadline:  # noqa: ASYNC110 (elsewhere)
            await asyncio.sleep(0.1)
        other = await request(proxy.address, "GET", "/healthz")

    assert bad == set()
    assert other.status == 200
    assert open_now <= share(kind) <= nginx.MAX_CONNECTIONS // 10


@pytest.mark.alone
@pytest.mark.suite  # a latency, which other load on the machine changes
@pytest.mark.parametrize("kind", KINDS)
async def test_others_do_not_notice(proxy: Nginx, kind: str) -> None:
    """The 99th percentile of health checks stays below 50 ms."""
    async with holding(proxy.port, kind):
        bad, p99 = await asked(proxy)

    assert bad == set()
    assert p99 < P99_SECONDS
