"""Nothing is lost and nobody dies: a stop with everything open, reloads, kills and recycling, all under load."""

from collections.abc import AsyncIterator

from tests.harness.load import Load, Report
from tests.harness.servers import postgres
from tests.harness.stack import behind_nginx, serving
from tests.promises import scenarios
from tests.promises.promise import Row, lost

WEBSOCKETS, STREAMS, SLOW_MILLISECONDS = 1_000, 100, 5_000
STOP_SECONDS = 8.0

RELOADS, REQUESTS, RATE = 50, 100_000, 550
SLOWER = 3.0  # p99 while reloading against the steady one
STEADY_REQUESTS = 20_000

KILLS, KILL_RATE = 100, 200
BACK_SECONDS = 2.0

RECYCLED_REQUESTS, RECYCLED, MAX_REQUESTS, MAX_MEMORY = 20_000, 10, 500, 160 << 20
LEAKING = "tests.promises.leaking:application"


async def stop() -> AsyncIterator[Row]:
    """SIGTERM with everything open."""
    with serving(workers=2) as server, behind_nginx(server) as proxy:
        seen = await scenarios.stop_with_everything_open(server, proxy.address, WEBSOCKETS, STREAMS, SLOW_MILLISECONDS)
        shutdowns = server.logged("Application shutdown complete.")
    what = f"SIGTERM with {WEBSOCKETS:,} websockets, {STREAMS} event streams and a 5 s request"
    yield Row(
        f"{what}: exit code 0 in at most {STOP_SECONDS:g} s",
        f"code {seen.exit_code} after {seen.seconds:.1f} s",
        seen.exit_code == 0 and seen.seconds <= STOP_SECONDS,
    )
    yield Row("the slow request is answered", str(seen.slow_status), seen.slow_status == 200)
    yield Row("websockets are closed with 1012", str(dict(seen.websocket_codes)), set(seen.websocket_codes) == {1012})
    yield Row("event streams end with a retry hint", str(seen.streams_with_hint), seen.streams_with_hint == STREAMS)
    yield Row("every worker's lifespan.shutdown has run", f"{shutdowns} of 2", shutdowns == 2)


async def reloads() -> AsyncIterator[Row]:
    """Reload after reload under load."""
    with serving(workers=2) as server, behind_nginx(server) as proxy:
        steady = await Load(proxy.address, kept=8, fresh=8, total=STEADY_REQUESTS, rate=RATE).run()
        report, seconds = await scenarios.reloads(server, proxy.address, RELOADS, REQUESTS, RATE)
    p99, base = report.percentile(99) * 1_000, steady.percentile(99) * 1_000
    yield Row(f"{RELOADS} reloads under {REQUESTS:,} requests: none lost", lost(report), not report.lost)
    yield Row(
        f"p99 while reloading at most {SLOWER:g} times the steady one",
        f"{p99 / base:.1f} ({p99:.1f} ms against {base:.1f} ms; a reload took {max(seconds):.1f} s at most)",
        p99 <= SLOWER * base,
    )


async def kills() -> AsyncIterator[Row]:
    """SIGKILL of worker after worker under load."""
    with serving(workers=2) as server, behind_nginx(server) as proxy:
        report, seconds = await scenarios.kills(server, proxy.address, KILLS, KILL_RATE)
    for row in _survived(f"{KILLS} SIGKILLs of workers", report, seconds):
        yield row


async def kills_without_database() -> AsyncIterator[Row]:
    """The same while PostgreSQL is away."""
    with (
        postgres() as database,
        serving(workers=2, DATABASE_URL=database.new_database()) as server,
        behind_nginx(server) as proxy,
    ):
        database.kill()
        report, seconds = await scenarios.kills(server, proxy.address, KILLS, KILL_RATE)
    for row in _survived(f"{KILLS} SIGKILLs of workers while the database is away", report, seconds):
        yield row


def _survived(what: str, report: Report, seconds: list[float]) -> list[Row]:
    gets = sum(count for (method, _), count in report.lost.items() if method == "GET")
    posts = {outcome: count for (method, outcome), count in report.lost.items() if method == "POST"}
    worst = max(seconds)
    return [
        Row(f"{what}: no GET is lost", f"{gets} of {report.total:,}", gets == 0),
        Row("POSTs only in flight, as a 502 with problem details", str(posts or "none"), set(posts) <= {"502"}),
        Row(f"capacity is back within {BACK_SECONDS:g} s", f"{worst:.2f} s at most", worst <= BACK_SECONDS),
    ]


async def recycling() -> AsyncIterator[Row]:
    """Workers that are replaced after so many requests, or when a leak has filled so much memory."""
    by_count = await scenarios.recycle(RECYCLED_REQUESTS, RECYCLED, MAX_REQUESTS=str(MAX_REQUESTS))
    yield _unnoticed(f"max_requests={MAX_REQUESTS}", *by_count)
    by_memory = await scenarios.recycle(RECYCLED_REQUESTS, RECYCLED, LEAKING, MAX_WORKER_MEMORY=str(MAX_MEMORY))
    yield _unnoticed(f"{MAX_MEMORY >> 20} MiB", *by_memory)


def _unnoticed(what: str, report: Report, replaced: int) -> Row:
    return Row(
        f"{RECYCLED_REQUESTS:,} requests, a worker replaced at {what}: none lost",
        f"{lost(report)}, {replaced} workers replaced",
        not report.lost and replaced >= RECYCLED,
    )
