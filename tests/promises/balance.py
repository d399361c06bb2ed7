"""Load is even over the workers, and a slow request delays no fast one."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.load import wrk
from slipway.ops.percentile import percentile
from slipway.serving import slot_lists
from tests.harness.load import GET, Load, Request, cpu
from tests.harness.processes import running, until
from tests.harness.stack import Nginx, Server, behind_nginx, serving
from tests.promises import scenarios
from tests.promises.promise import Row, lost

WORKERS = 4
EVEN = 1.05  # the most loaded worker relative to the mean
BELOW_PEAK = 0.8  # at full load the system's scheduler decides how many requests each worker answers
WRK_SECONDS = 5  # wrk stops by the clock; it leaves the CPUs to the servers, while our own generator takes one

STEADY_RATE = 1_500  # per second; at full load the system's scheduler decides the shares, and evens them out later
CONNECTIONS = (16, 64)

RATE = 300  # per second
SLOW_IN = 20  # one in this many requests is slow
SLOW_MILLISECONDS = 50
FASTER = 0.1  # the fast requests' p90 relative to that with a shared socket


@dataclass(frozen=True, slots=True)
class Burst:
    """The number of websockets opened at once."""

    websockets: int


async def websockets(size: Burst) -> AsyncIterator[Row]:
    """Open a burst of websockets."""
    with serving(workers=WORKERS) as server, behind_nginx(server) as proxy:
        sockets, by_slot = await scenarios.open_chats(proxy.address, size.websockets)
        await asyncio.gather(*(socket.close() for socket in sockets))
    yield _even(f"{size.websockets} websockets in a burst over {WORKERS} workers", sorted(by_slot.values()))


@dataclass(frozen=True, slots=True)
class Steady:
    """The number of requests at the fixed rate."""

    requests: int


async def steady(size: Steady) -> AsyncIterator[Row]:
    """Send a fixed rate below full load, over few and over many kept-alive connections."""
    with serving(workers=WORKERS) as server, behind_nginx(server) as proxy:
        for connections in CONNECTIONS:
            report, by_slot = await scenarios.spread(proxy, [GET], connections, size.requests, STEADY_RATE)
            what = f"{size.requests:,} requests at {STEADY_RATE:,}/s over {connections} connections"
            yield _even(what, sorted(by_slot.values()))
            yield Row(f"{what}: none lost", lost(report), not report.lost)


async def requests(total: int) -> AsyncIterator[Row]:
    """Send 80 % of the peak, which is measured first, and full load, over few and over many kept-alive connections."""
    with serving(workers=WORKERS) as server, behind_nginx(server) as proxy:
        for connections in CONNECTIONS:
            began = time.monotonic()
            await scenarios.spread(proxy, [GET], connections, total)
            rate = BELOW_PEAK * total / (time.monotonic() - began)
            report, by_slot = await scenarios.spread(proxy, [GET], connections, total, rate)
            what = f"{total:,} requests at {rate:,.0f}/s, {BELOW_PEAK:.0%} of the peak, over {connections} connections"
            yield _even(what, sorted(by_slot.values()))
            yield Row(f"{what}: none lost", lost(report), not report.lost)
            counts, errors = await _full_load(proxy, connections, total)
            what = f"full load over {connections} connections"
            shares = f"{_most(counts):.3f} ({'/'.join(map(str, counts))})"
            yield Row(f"{what}: the most loaded worker of the mean, as the system's scheduler has it", shares, None)
            yield Row(f"{what}: none lost", f"{errors} of {sum(counts):,}", errors == 0)


async def _full_load(proxy: Nginx, connections: int, least: int) -> tuple[list[int], int]:
    """Load nginx until `least` requests are answered; return the number of answers by worker, and of errors."""
    before, total, errors = proxy.by_upstream(), 0, 0
    while total < least:
        peak = wrk.run(proxy.url, wrk.RequestTemplate("/plaintext"), seconds=WRK_SECONDS, connections=connections)
        total, errors = total + peak.requests, errors + peak.errors
    await until(lambda: (proxy.by_upstream() - before).total() >= total, 30, "the access log")
    return sorted((proxy.by_upstream() - before).values()), errors


def _most(counts: list[int]) -> float:
    return max(counts) * WORKERS / sum(counts)


def _even(what: str, counts: list[int]) -> Row:
    return Row(
        f"{what}: most loaded worker at most {EVEN} of the mean",
        f"{_most(counts):.3f} ({'/'.join(map(str, counts))})",
        _most(counts) <= EVEN,
    )


@dataclass(frozen=True, slots=True)
class Mixed:
    """The number of rounds, and the seconds of each round on the slots and on the shared socket."""

    rounds: int
    seconds: int


async def mixed(size: Mixed) -> AsyncIterator[Row]:
    """Send a fixed rate of fast and slow requests, to slots and to a shared socket by turns."""
    mix = [cpu(SLOW_MILLISECONDS), *[GET] * (SLOW_IN - 1)] * (size.seconds * RATE // SLOW_IN)
    random.Random(1).shuffle(mix)
    with _two_arms() as arms:
        seconds: dict[str, list[float]] = {name: [] for name in arms}
        for _ in range(size.rounds):
            for name, proxy in arms.items():
                seconds[name] += await _fast(proxy, mix)
    p90 = {name: percentile(values, 90) for name, values in seconds.items()}
    ratio = p90["slots"] / p90["shared"]
    yield Row(
        f"{RATE}/s, 5 % with {SLOW_MILLISECONDS} ms of CPU: the fast ones' p90 at most {FASTER} of a shared socket's",
        f"{ratio:.2f} ({p90['slots'] * 1_000:.1f} ms against {p90['shared'] * 1_000:.1f} ms)",
        ratio <= FASTER,
    )


async def _fast(proxy: Nginx, mix: list[Request]) -> list[float]:
    report = await Load(proxy.address, mix, kept=64, total=len(mix), rate=RATE).run()
    assert not report.lost, report.lost
    return report.seconds[GET.target]


@contextmanager
def _two_arms() -> Iterator[dict[str, Nginx]]:
    with (
        serving(workers=WORKERS) as slots,
        behind_nginx(slots) as front,
        serving(workers=WORKERS, slots="shared") as shared,
    ):
        path = shared.folder / "shared.sock"
        _bind_to(shared, str(path))
        slot_lists.write(shared.folder, [f"unix:{path}"])
        shared_front = Nginx(shared)
        _keep_for_a_minute(shared.folder / "nginx" / "nginx.conf")
        with running(shared_front):
            yield {"slots": front, "shared": shared_front}


def _keep_for_a_minute(configuration: Path) -> None:
    """Keep idle connections as long as nginx by default; ours closes those to workers after a second, for the drain."""
    text = configuration.read_text()
    assert text.count("keepalive_timeout 1s;") == 1
    configuration.write_text(text.replace("keepalive_timeout 1s;", "keepalive_timeout 60s;"))


def _bind_to(server: Server, path: str) -> None:
    server.stop()
    server.environment["GUNICORN_CMD_ARGS"] = f"--bind=unix:{path}"
    server.environment["FORWARDED_ALLOW_IPS"] = "*"
    server.start()
    server.until_ready()
