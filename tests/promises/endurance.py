"""Nothing is lost in a stop with everything open, in reloads, kills and recycling, all under load."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from slipway.serving.settings import STATUS_SOCKET
from tests.harness.client import request
from tests.harness.load import Load, Report
from tests.harness.processes import is_alive, pause
from tests.harness.servers import postgres
from tests.harness.stack import APP, Server, behind_nginx, serving
from tests.promises import scenarios
from tests.promises.promise import Row, lost

STOP_SECONDS = 8.0
LEFT_BEHIND = (".sock", ".json", ".ctl")
SLOWER = 3.0  # p99 while reloading relative to the steady one
BACK_SECONDS = 2.0
HEAL_SECONDS = 20.0
IN_FLIGHT = 8  # at one worker: its share of 16 clients' requests, of which half are POSTs
LEAKING = "tests.promises.leaking:application"


@dataclass(frozen=True, slots=True)
class Stop:
    """The websockets, event streams and request that are open when the stop begins."""

    websockets: int
    streams: int
    slow_milliseconds: int


async def stop(size: Stop) -> AsyncIterator[Row]:
    """Send SIGTERM with everything open."""
    with serving(workers=2) as server, behind_nginx(server) as proxy:
        pids = server.pids()
        seen = await scenarios.stop_with_everything_open(
            server, proxy.address, size.websockets, size.streams, size.slow_milliseconds
        )
        shutdowns, killed = server.logged("Application shutdown complete."), server.logged("killed")
        alive = sum(is_alive(pid) for pid in pids)
        files = [path.name for path in server.folder.iterdir() if path.suffix in LEFT_BEHIND]
        files.remove(STATUS_SOCKET)  # belongs to nginx, which keeps running
    slow = f"a {size.slow_milliseconds / 1_000:g} s request"
    what = f"SIGTERM with {size.websockets:,} websockets, {size.streams} event streams and {slow}"
    yield Row(
        f"{what}: exit code 0 in at most {STOP_SECONDS:g} s",
        f"code {seen.exit_code} after {seen.seconds:.1f} s",
        seen.exit_code == 0 and seen.seconds <= STOP_SECONDS,
    )
    codes = seen.websocket_codes
    yield Row("the slow request is answered", str(seen.slow_status), seen.slow_status == 200)
    yield Row("websockets are closed with 1012", str(dict(codes)), codes == {1012: size.websockets})
    hinted = seen.streams_with_hint
    yield Row("event streams end with a retry hint", str(hinted), hinted == size.streams)
    yield Row("every worker's lifespan.shutdown has run", f"{shutdowns} of 2", shutdowns == 2)
    yield Row("no worker is killed or left", f"{killed} killed, {alive} left", (killed, alive) == (0, 0))
    yield Row("no file is left", ", ".join(files) or "none", not files)


@dataclass(frozen=True, slots=True)
class Reloads:
    """The number of reloads, the requests meanwhile and their rate, and the steady requests to compare with."""

    count: int
    requests: int
    rate: float
    steady: int = 0


async def reloads(size: Reloads) -> AsyncIterator[Row]:
    """Reload repeatedly under load."""
    with serving(workers=2) as server, behind_nginx(server) as proxy:
        steady = await Load(proxy.address, kept=8, fresh=8, total=size.steady, rate=size.rate).run()
        first = set(server.pids())
        report, seconds = await scenarios.reloads(server, proxy.address, size.count, size.requests, size.rate)
        left = first & set(server.pids())
    yield Row(f"{size.count} reloads under {size.requests:,} requests: none lost", lost(report), not report.lost)
    yield Row("no worker from before is left", f"{len(left)} of 2", not left)
    if size.steady:
        p99, base = report.percentile(99) * 1_000, steady.percentile(99) * 1_000
        yield Row(
            f"p99 while reloading at most {SLOWER:g} times the steady one",
            f"{p99 / base:.1f} ({p99:.1f} ms against {base:.1f} ms; a reload took {max(seconds):.1f} s at most)",
            p99 <= SLOWER * base,
        )


@dataclass(frozen=True, slots=True)
class Kills:
    """The number of workers killed, and the rate of requests meanwhile."""

    count: int
    rate: float = 200
    workers: int = 2


async def kills(size: Kills) -> AsyncIterator[Row]:
    """Send SIGKILL to worker after worker under load."""
    with serving(workers=size.workers) as server, behind_nginx(server) as proxy:
        report, seconds = await scenarios.kills(server, proxy.address, size.count, size.rate)
    for row in _survived(f"{size.count} SIGKILLs of workers", size, report, seconds):
        yield row


async def kills_without_database(size: Kills) -> AsyncIterator[Row]:
    """Kill workers while PostgreSQL is away."""
    with (
        postgres() as database,
        serving(workers=size.workers, DATABASE_URL=database.new_database()) as server,
        behind_nginx(server) as proxy,
    ):
        assert await _says(server, "/readyz") == 200
        database.kill()
        report, seconds = await scenarios.kills(server, proxy.address, size.count, size.rate)
        for row in _survived(f"{size.count} SIGKILLs of workers while the database is away", size, report, seconds):
            yield row
        said = [(await _says(server, "/plaintext", slot), await _says(server, "/readyz", slot)) for slot in range(2)]
        yield Row("what needs no database is served; not ready", str(said), said == [(200, 503)] * 2)
        database.start()
        yield Row(f"ready again within {HEAL_SECONDS:g} s", *await _heals(server))


async def _says(server: Server, target: str, slot: int = 0) -> int:
    return (await request(server.address(slot), "GET", target)).status


async def _heals(server: Server) -> tuple[str, bool]:
    try:
        async with asyncio.timeout(HEAL_SECONDS):
            while (await server.ctl("ready"))[0] != 0:
                await pause()
    except TimeoutError:
        return "not ready", False
    return "ready", True


def _survived(what: str, size: Kills, report: Report, seconds: list[float]) -> list[Row]:
    gets = sum(count for (method, _), count in report.lost.items() if method == "GET")
    posts = {outcome: count for (method, outcome), count in report.lost.items() if method == "POST"}
    only = set(posts) <= {"502"} and sum(posts.values()) <= size.count * IN_FLIGHT
    return [
        Row(f"{what}: no GET is lost", f"{gets} of {report.total:,}", gets == 0),
        Row("POSTs only in flight, as a 502 with problem details", str(posts or "none"), only),
        Row(f"capacity is back within {BACK_SECONDS:g} s", f"{max(seconds):.2f} s", max(seconds) <= BACK_SECONDS),
    ]


@dataclass(frozen=True, slots=True)
class Recycling:
    """The number of requests, the least number of workers replaced, and the limits in requests and in bytes."""

    requests: int
    replaced: int
    max_requests: int
    max_memory: int


async def recycling(size: Recycling) -> AsyncIterator[Row]:
    """Replace workers after a number of requests, or when a leak has filled an amount of memory."""
    limits = {
        f"max_requests={size.max_requests}": (APP, {"MAX_REQUESTS": str(size.max_requests)}),
        f"{size.max_memory >> 20} MiB": (LEAKING, {"MAX_WORKER_MEMORY": str(size.max_memory)}),
    }
    for what, (app, settings) in limits.items():
        report, replaced = await scenarios.recycle(size.requests, size.replaced, app, **settings)
        yield Row(
            f"{size.requests:,} requests, a worker replaced at {what}: none lost",
            f"{lost(report)}, {replaced} workers replaced",
            not report.lost and replaced >= size.replaced,
        )
