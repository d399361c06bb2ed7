"""nginx's own figures are among the server's private metrics; an nginx that is down delays no scrape."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from slipway.metrics import proxy
from slipway.ops.samples import Samples
from slipway.serving.settings import STATUS_SOCKET
from tests.harness.client import Connection, request
from tests.harness.edge import Edge, Runner, answers, exchange, message, slots
from tests.harness.processes import children, running, short_folder, until
from tests.harness.stack import Nginx, Server, behind_nginx, serving
from tests.live.sites import SHORT, source

COUNTERS = ("nginx_connections_accepted_total", "nginx_connections_handled_total", "nginx_http_requests_total")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("site")
    (folder / "site_app.py").write_text(source())
    with serving("site_app:application", workers=1, PYTHONPATH=str(folder), PRESTART="none", **SHORT) as server:
        yield server


@pytest.fixture
def nginx(server: Server) -> Iterator[Nginx]:
    with behind_nginx(server) as nginx:
        yield nginx


async def scraped(server: Server) -> Samples:
    answer = await request(str(server.folder / "app.stats"), "GET", "/metrics")
    return Samples(answer.body.decode())


async def test_connections_and_requests(server: Server, nginx: Nginx) -> None:
    """nginx's connections are counted by state and in total; a scrape itself is a connection with one request."""
    before = await scraped(server)
    connections = [await Connection.open(nginx.address) for _ in range(3)]
    for connection in connections:
        for _ in range(2):
            await connection.request("GET", "/")
    after = await scraped(server)
    for connection in connections:
        await connection.close()

    assert [after.sum(name) - before.sum(name) for name in COUNTERS] == [3 + 1, 3 + 1, 6 + 1]
    assert after.sum("nginx_up") == 1
    assert after.sum("nginx_connections_waiting") == 3
    assert after.sum("nginx_connections_active") == 3 + 1
    assert after.sum("nginx_connections_reading") + after.sum("nginx_connections_writing") == 1


async def test_refused_by_nginx_is_counted(server: Server, nginx: Nginx) -> None:
    """A request that nginx answers itself is counted for nginx, and not for the workers."""
    before = await scraped(server)
    answer = await request(nginx.address, "GET", "/" + "x" * 8_100)
    after = await scraped(server)

    assert answer.status == 414
    assert after.sum("nginx_http_requests_total") - before.sum("nginx_http_requests_total") == 1 + 1
    name = "http_server_request_duration_seconds_count"
    assert after.sum(name) == before.sum(name)


async def test_not_in_public(server: Server, nginx: Nginx) -> None:
    """On the public address every path reaches the app, and nginx does not log reads of its figures."""
    paths = ["/status", "/stub_status", "/nginx_status", "/basic_status", "/metrics"]
    before = nginx.logged('"message":"request"')
    await scraped(server)
    answered = [await request(nginx.address, "GET", path) for path in paths]
    ids = [answer.headers["x-request-id"] for answer in answered]
    await until(lambda: all(map(nginx.logged, ids)), 5)

    assert [answer.body for answer in answered] == [b"old"] * len(paths)
    assert nginx.logged('"message":"request"') == before + len(paths)


@pytest.mark.parametrize("runner", get_args(Runner))
async def test_after_nginx_was_killed(runner: Runner) -> None:
    """A killed nginx leaves the file of its socket behind, and the next nginx answers there all the same."""
    with short_folder() as folder:
        first = Edge(folder, runner=runner)
        first.start()
        first.until_ready()
        for pid in tree(first.pid):
            os.kill(pid, signal.SIGKILL)
        await until(lambda: first.code is not None, 10)
        left = (folder / STATUS_SOCKET).exists()
        async with slots(folder, [answers]):
            with running(Edge(folder, runner=runner)) as second:
                answer = await exchange(second.address, message("GET"))
                found = proxy.read(str(folder / STATUS_SOCKET))

    assert left
    assert answer.status == 200
    assert found[proxy.UP] == 1


async def test_without_nginx(server: Server) -> None:
    """A server whose nginx does not run says so, and reports no other figure of it."""
    with behind_nginx(server):
        assert (await scraped(server)).sum("nginx_up") == 1
    samples = await scraped(server)

    assert [(each.name, each.value) for each in samples.all if each.name.startswith("nginx")] == [("nginx_up", 0)]


async def test_nginx_stands_still(server: Server, nginx: Nginx) -> None:
    """A scrape does not wait for a stopped nginx: it reports nginx as down, with all other figures."""
    pids = tree(nginx.pid)[1:]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        async with asyncio.timeout(5):
            samples = await scraped(server)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)

    assert samples.sum("nginx_up") == 0
    assert samples.sum("slipway_workers_ready") == 1


async def test_no_nginx_of_ours() -> None:
    """A server with its own port has no nginx beside it, and does not report one as down."""
    with short_folder() as folder:
        (folder / "site_app.py").write_text(source())
        options = {"PYTHONPATH": str(folder), "PRESTART": "none", **SHORT}
        with serving("site_app:application", workers=1, slots="tcp", **options) as server:
            samples = await scraped(server)

    assert [each.name for each in samples.all if each.name.startswith("nginx")] == []


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 500 Oops\r\n\r\nno", b"Active connections: 1", b"x" * 10_000])
async def test_another_answer(tmp_path: Path, said: bytes) -> None:
    """Any other answer counts as nginx being down."""
    with short_folder() as folder:
        path = str(folder / STATUS_SOCKET)

        async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(said)
            writer.close()

        async with await asyncio.start_unix_server(behaviour, path):
            found = await asyncio.to_thread(proxy.read, path)

    assert found == {proxy.UP: 0.0}


def tree(pid: int) -> list[int]:
    """Return the pids of a process and all its descendants."""
    return [pid, *(found for child in children(pid) for found in tree(child))]
