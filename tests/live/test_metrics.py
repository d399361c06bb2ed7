"""The server's metrics for any app: correct, by slot, never falling, and served whatever its workers do."""

import asyncio
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from slipway.metrics import exposition, listener
from tests.harness.client import request
from tests.harness.processes import free_ports, pause, until
from tests.harness.stack import Server, behind_nginx, serving
from tests.harness.websocket import WebSocket
from tests.live.scraping import Samples, scraped, until_scraped, value
from tests.live.sites import SHORT

APP = """
import time
from prometheus_client import Counter, Gauge
from tests.live.lifespan import lifespan

ORDERS = Counter("shop_orders", "Orders.", ["kind"])
STOCK = Gauge("shop_stock", "Stock.", multiprocess_mode="livesum")
MINE = Counter("slipway_reloads", "A name of the server's.")

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"] * 2})
        return
    path = scope["path"]
    if path.startswith("/items/"):
        scope["route"] = "/items/{id}"
    if path == "/block":
        time.sleep(3)
    if path == "/order":
        ORDERS.labels("book").inc()
        STOCK.set(5)
    status = 404 if path == "/missing" else 200
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
"""
NAME = "shop:application"
SCRAPES = 400


def options(folder: Path) -> dict[str, str]:
    (folder / "shop.py").write_text(APP)
    return {"PYTHONPATH": str(folder), "PRESTART": "none", "PYTHONDONTWRITEBYTECODE": "1", **SHORT}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shop")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with serving(NAME, workers=1, **options(folder)) as server:
        yield server


def requests(samples: Samples, **labels: str) -> float:
    return value(samples, "http_server_request_duration_seconds_count", **labels)


def counters(samples: Samples) -> Samples:
    return {key: each for key, each in samples.items() if key[0].endswith(("_total", "_count", "_bucket", "_sum"))}


def fallen(before: Samples, after: Samples) -> dict[object, tuple[float, float]]:
    return {key: (was, after.get(key, 0.0)) for key, was in counters(before).items() if after.get(key, 0.0) < was}


async def test_requests_by_method_route_and_status(server: Server) -> None:
    """Each request is counted by its method, its route's template and the class of its status."""
    before = await scraped(server)
    for method, path in (
        ("GET", "/items/1"),
        ("GET", "/items/2"),
        ("POST", "/items/3"),
        ("GET", "/missing"),
        ("PROPFIND", "/"),
    ):
        await request(server.address(), method, path)
    # The worker counts a request after the app has returned, which may be after the client has its answer.
    after = await until_scraped(server, lambda samples: requests(samples) >= requests(before) + 5)

    def more(**labels: str) -> float:
        return requests(after, slot="0", **labels) - requests(before, slot="0", **labels)

    assert more(http_request_method="GET", http_route="/items/{id}", http_response_status_class="2xx") == 2
    assert more(http_request_method="POST", http_route="/items/{id}") == 1
    assert more(http_route="", http_response_status_class="4xx") == 1
    assert more(http_request_method="_OTHER") == 1


async def test_websockets(server: Server) -> None:
    """Open websockets are counted, and their messages and bytes in both directions."""
    before = await scraped(server)
    socket = await WebSocket.open(server.address(), "/")
    socket._frames.send(b"abc")
    await socket.frame()
    after = await until_scraped(server, lambda samples: value(samples, "slipway_active_websockets") == 1)
    await socket.close()

    def more(name: str, direction: str) -> float:
        return value(after, name, direction=direction) - value(before, name, direction=direction)

    assert [more("slipway_websocket_messages_total", each) for each in ("received", "sent")] == [1, 1]
    assert [more("slipway_websocket_message_bytes_total", each) for each in ("received", "sent")] == [3, 6]


async def test_everything_is_there(server: Server) -> None:
    """Each series of the list is present, and those of a process have sane values."""
    with behind_nginx(server) as nginx:
        await request(nginx.address, "GET", "/")
        samples = await scraped(server)

    assert exposition.families() <= {name for name, _ in samples}
    assert value(samples, "slipway_worker_resident_memory_bytes", slot="0") > 10e6
    assert value(samples, "slipway_worker_cpu_seconds_total", slot="0") > 0
    assert value(samples, "slipway_listener_queue_length", slot="0") == 0
    assert value(samples, "slipway_workers_ready") == 1


async def test_not_in_public(server: Server) -> None:
    """The public listener does not serve metrics: the app answers there."""
    before = await scraped(server)
    answer = await request(server.address(), "GET", "/metrics")

    assert answer.body == b"ok"
    after = await until_scraped(server, lambda samples: requests(samples) > requests(before))
    assert requests(after) == requests(before) + 1


async def test_while_every_loop_is_blocked(server: Server) -> None:
    """A scrape is answered, and shows waiting clients, the age of the worker's heartbeat, and its earlier counts."""
    await request(server.address(), "GET", "/items/1")
    blocked = asyncio.create_task(request(server.address(), "GET", "/block"))
    await asyncio.sleep(0)
    silent: Samples = {}
    async with asyncio.timeout(10):
        while value(silent, "slipway_worker_heartbeat_age_seconds", slot="0") < 1.2:
            silent = await scraped(server)
            assert not blocked.done()
    waiting = [asyncio.create_task(request(server.address(), "GET", "/")) for _ in range(3)]
    async with asyncio.timeout(10):
        while value(await scraped(server), "slipway_listener_queue_length", slot="0") < 3:
            assert not blocked.done()
    await asyncio.gather(blocked, *waiting)

    lag = "slipway_event_loop_lag_seconds"
    await until_scraped(server, lambda now: value(now, f"{lag}_count") > value(now, f"{lag}_bucket", le="1.0"))

    assert requests(silent, http_route="/items/{id}") >= 1


async def test_no_worker_does_anything_for_a_scrape(server: Server) -> None:
    """A scrape is answered in full while the worker's process is stopped, so that no request can wait for it."""
    await request(server.address(), "GET", "/items/1")
    (pid,) = server.pids()
    os.kill(pid, signal.SIGSTOP)
    try:
        samples = await scraped(server)
    finally:
        os.kill(pid, signal.SIGCONT)

    assert requests(samples, http_route="/items/{id}") >= 1
    assert value(samples, "slipway_worker_resident_memory_bytes", slot="0") > 10e6


async def test_no_worker_is_woken_for_scrapes(server: Server) -> None:
    """A worker wakes only for its heartbeat, however often metrics are read."""
    (pid,) = server.pids()
    before, begun = switches(pid), time.monotonic()
    for _ in range(SCRAPES):
        await scraped(server)
    woken, seconds = switches(pid) - before, time.monotonic() - begun

    assert woken < SCRAPES / 10 + 20 * seconds


async def test_scrapes_give_way_to_requests(server: Server) -> None:
    """The thread that answers scrapes has a low priority, so a worker with a request takes the CPU from it at once."""
    await scraped(server)
    nice = nice_of_threads(server.pid)

    assert max(nice) == listener.NICE >= 15
    assert nice.count(listener.NICE) == 1


@pytest.mark.timeout(120)
async def test_counters_never_fall(server: Server, folder: Path) -> None:
    """No counter falls in reloads and a SIGKILL under scrapes; series and files stay as many as after one reload."""
    last = await scraped(server)
    done = asyncio.Event()
    falls: list[object] = []

    async def watch() -> None:
        nonlocal last
        while not done.is_set():
            now = await scraped(server)
            falls.extend(fallen(last, now).items())
            last = now

    async def ask(count: int) -> None:
        for _ in range(count):
            await request(server.address(), "GET", "/order")

    watching = asyncio.create_task(watch())
    before = last
    sizes = []
    for _ in range(3):
        await ask(5)
        assert (await server.reload())[0] == 0
        await ask(5)
        sizes.append((len(await scraped(server)), len(files(server))))
    (pid,) = server.pids()
    os.kill(pid, signal.SIGKILL)
    await ask(5)
    done.set()
    await watching
    after = await scraped(server)

    assert falls == []
    assert len({series for series, _ in sizes[1:]}) == 1
    assert sizes[1][1] == sizes[2][1]
    assert requests(after) - requests(before) >= 35
    assert value(after, "shop_orders_total", kind="book") - value(before, "shop_orders_total", kind="book") == 35
    assert value(after, "shop_stock") == 5
    assert (
        value(after, "slipway_reloads_total", result="done") - value(before, "slipway_reloads_total", result="done")
        == 3
    )
    assert value(after, "slipway_worker_restarts_total", cause="replaced") >= 3
    assert value(after, "slipway_worker_restarts_total", cause="killed") == 1


def nice_of_threads(pid: int) -> list[int]:
    """Return the nice value of each thread of a process."""
    stats = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    return [int(stat.rpartition(")")[2].split()[16]) for stat in stats]


def switches(pid: int) -> int:
    """Return the number of a process's context switches."""
    status = Path(f"/proc/{pid}/status").read_text()
    return sum(int(count) for count in re.findall(r"ctxt_switches:\s+(\d+)", status))


def files(server: Server) -> list[Path]:
    """Return the files of the app's own metrics, and the descriptors of the workers' figures."""
    (folder,) = Path("/dev/shm").glob(f"slipway-*-{server.pid}")
    figures = []
    for each in Path(f"/proc/{server.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            figures += [each] if "memfd" in str(each.readlink()) else []
    return [*folder.iterdir(), *figures]


def left(pid: int, folder: Path) -> list[Path]:
    """Return the files that a server has left behind."""
    return [*Path("/dev/shm").glob(f"slipway-*-{pid}"), *folder.glob("app.stats")]


async def test_by_tcp(folder: Path) -> None:
    """METRICS_PORT is served as soon as the port is free; with the server its listener and all its files are gone."""
    port = free_ports()
    taken = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", port)
    with serving(NAME, workers=1, **options(folder), METRICS_PORT=str(port)) as server:
        taken.close()
        await taken.wait_closed()

        async def answers() -> bool:
            try:
                return (await request(("127.0.0.1", port), "GET", "/metrics")).status == 200
            except (OSError, EOFError, ValueError):
                return False

        async with asyncio.timeout(10):
            while not await answers():
                await pause()
        missing = await request(("127.0.0.1", port), "GET", "/items/1")
        await until(lambda: files(server) != [], 5, "files")
        pid = server.pid
        server.stop()

        assert missing.status == 404
        assert not await answers()
        assert left(pid, server.folder) == []
