"""Faults and changes of a server, and what clients see of them. The tests run them small, `make soak` at full size."""

import asyncio
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tests.harness.client import Address, EventStream, request
from tests.harness.load import HALF_AND_HALF, Load, Report, Request
from tests.harness.processes import until
from tests.harness.stack import APP, Nginx, Server, behind_nginx, serving
from tests.harness.websocket import WebSocket

Opened = TypeVar("Opened")


async def open_chats(address: Address, count: int) -> tuple[list[WebSocket], Counter[int]]:
    """Open websockets in a burst, and count them by the slot of the worker that says hello."""
    sockets = await asyncio.gather(*(WebSocket.open(address, "/ws/chat") for _ in range(count)))
    hellos = await asyncio.gather(*(socket.frame() for socket in sockets))
    return sockets, Counter(json.loads(payload)["slot"] for _, payload in hellos)


def unevenness(counts: Counter[int] | Counter[str], workers: int) -> float:
    """Return the most loaded worker's share relative to the mean; 1 is even."""
    return max(counts.values()) * workers / counts.total()


async def spread(
    proxy: Nginx, requests: Sequence[Request], connections: int, total: int, rate: float | None = None
) -> tuple[Report, Counter[str]]:
    """Send requests over kept-alive connections; count those that each slot answered, from nginx's access log."""
    before = proxy.by_upstream()
    report = await Load(proxy.address, requests, kept=connections, total=total, rate=rate).run()
    await until(lambda: (proxy.by_upstream() - before).total() >= total, 10, "the access log")
    return report, proxy.by_upstream() - before


async def reloads(
    server: Server, address: Address, count: int, total: int, rate: float, clients: int = 16
) -> tuple[Report, list[float]]:
    """Reload repeatedly under load, half GET and half POST, half kept-alive and half fresh; time each reload."""
    seconds = []
    async with Load(address, kept=clients // 2, fresh=clients // 2, rate=rate) as load:
        for _ in range(count):
            start = time.monotonic()
            code, output = await server.reload()
            assert code == 0, output
            seconds.append(time.monotonic() - start)
        await load.until(total, total / rate + 60)
    return load.report, seconds


async def kill_one(server: Server, limit: float = 20.0) -> float:
    """Kill a worker that serves; return the seconds until as many serve again."""
    pid = random.choice(server.status()["serving"])
    start = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    await until(lambda: _is_replaced(server, pid), limit, "the successor of a killed worker")
    return time.monotonic() - start


def _is_replaced(server: Server, pid: int) -> bool:
    serves = server.status()["serving"]
    return pid not in serves and len(serves) == server.workers


async def kills(
    server: Server, address: Address, count: int, rate: float, requests: Sequence[Request] = HALF_AND_HALF
) -> tuple[Report, list[float]]:
    """Kill worker after worker under load; time how long each one's place is empty.

    No request meets two kills: requests of a killed worker are answered before the next one, since nothing is sent a
    third time.
    """
    seconds, clients = [], 16
    async with Load(address, requests, kept=clients // 2, fresh=clients // 2, rate=rate) as load:
        for _ in range(count):
            seconds.append(await kill_one(server))
            await load.until_answered()
            await load.until(load.report.total + clients)
    return load.report, seconds


async def recycle(requests: int, replacements: int, app: str = APP, **limits: str) -> tuple[Report, int]:
    """Load two workers until `replacements` were replaced at a limit; return the results, and how many were."""
    with serving(app, **limits) as server, behind_nginx(server) as proxy:
        async with Load(proxy.address, kept=8, fresh=8, rate=500) as load:
            await load.until(requests, requests / 500 + 60)
            await until(lambda: server.logged("has done its share") >= replacements, 60, "replaced workers")
        assert not server.logged("killed"), server.log()
        return load.report, server.logged("has done its share")


@dataclass(frozen=True)
class Stop:
    """How a server ended with everything open."""

    websocket_codes: Counter[int]
    streams_with_hint: int
    slow_status: int
    exit_code: int
    seconds: float


async def stop_with_everything_open(
    server: Server, address: Address, websockets: int, streams: int, slow_milliseconds: int
) -> Stop:
    """Send SIGTERM with idle websockets, event streams and one slow request open."""
    open_sockets = await _many(lambda: WebSocket.open(address), websockets)
    open_streams = await _many(lambda: EventStream.open(address), streams)
    slow = asyncio.create_task(request(address, "GET", f"/wait?ms={slow_milliseconds}"))
    await asyncio.sleep(0.3)  # until it is under way
    start = time.monotonic()
    server.signal(signal.SIGTERM)
    exit_code = asyncio.create_task(_exit(server, start))
    codes = await asyncio.gather(*(each.close_code() for each in open_sockets))
    ends = await asyncio.gather(*(each.rest() for each in open_streams), return_exceptions=True)
    hinted = sum(isinstance(end, str) and end.endswith("retry: 1000\n\n") for end in ends)
    code, seconds = await exit_code
    return Stop(Counter(codes), hinted, (await slow).status, code, seconds)


async def _exit(server: Server, start: float) -> tuple[int, float]:
    code = await server.exit_code(60)
    return code, time.monotonic() - start


async def _many(make: Callable[[], Awaitable[Opened]], count: int, at_once: int = 200) -> list[Opened]:
    made: list[Opened] = []
    while len(made) < count:
        made += await asyncio.gather(*(make() for _ in range(min(at_once, count - len(made)))))
    return made
