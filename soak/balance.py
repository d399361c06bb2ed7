"""Load is even over the workers, and a slow request keeps no fast one waiting."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from soak import scenarios
from soak.load import GET, Load, Request, cpu
from soak.promise import Row, lost
from soak.stack import Nginx, Server, behind_nginx, serving

WORKERS = 4
EVEN = 1.05  # the most loaded worker against the mean
WEBSOCKETS = 400
REQUESTS = 100_000
REQUESTS_RATE = 2_500  # per second; at full load the system's scheduler decides how many each worker can answer

RATE = 300  # per second
SLOW_IN = 20  # one request of so many is slow
SLOW_MILLISECONDS = 50
ROUNDS = 6
ROUND_REQUESTS = 5 * RATE
FASTER = 0.1  # the fast requests' p90 against that with a shared socket


async def websockets() -> AsyncIterator[Row]:
    """A burst of websockets."""
    with serving(workers=WORKERS) as server, behind_nginx(server) as proxy:
        sockets, by_slot = await scenarios.open_chats(proxy.address, WEBSOCKETS)
        await asyncio.gather(*(socket.close() for socket in sockets))
    yield _even(f"{WEBSOCKETS} websockets in a burst over {WORKERS} workers", sorted(by_slot.values()))


async def requests() -> AsyncIterator[Row]:
    """Requests over few and over many kept-alive connections."""
    with serving(workers=WORKERS) as server, behind_nginx(server) as proxy:
        for connections in (16, 64):
            report, by_slot = await scenarios.spread(proxy, [GET], connections, REQUESTS, REQUESTS_RATE)
            what = f"{REQUESTS:,} requests over {connections} connections"
            yield _even(what, sorted(by_slot.values()))
            yield Row(f"{what}: none lost", lost(report), not report.lost)


def _even(what: str, counts: list[int]) -> Row:
    most = max(counts) * WORKERS / sum(counts)
    return Row(
        f"{what}: most loaded worker at most {EVEN} of the mean",
        f"{most:.3f} ({'/'.join(map(str, counts))})",
        most <= EVEN,
    )


async def mixed() -> AsyncIterator[Row]:
    """A fixed rate of fast and slow requests, on slots and on a shared socket by turns."""
    mix = [cpu(SLOW_MILLISECONDS), *[GET] * (SLOW_IN - 1)] * (ROUND_REQUESTS // SLOW_IN)
    random.Random(1).shuffle(mix)
    with _two_arms() as arms:
        seconds: dict[str, list[float]] = {name: [] for name in arms}
        for _ in range(ROUNDS):
            for name, proxy in arms.items():
                seconds[name] += await _fast(proxy, mix)
    p90 = {name: sorted(values)[int(len(values) * 0.9)] for name, values in seconds.items()}
    ratio = p90["slots"] / p90["shared"]
    yield Row(
        f"{RATE}/s, 5 % with {SLOW_MILLISECONDS} ms of CPU: the fast ones' p90 at most {FASTER} of a shared socket's",
        f"{ratio:.2f} ({p90['slots'] * 1_000:.1f} ms against {p90['shared'] * 1_000:.1f} ms)",
        ratio <= FASTER,
    )


async def _fast(proxy: Nginx, mix: list[Request]) -> list[float]:
    report = await Load(proxy.address, mix, kept=64, total=ROUND_REQUESTS, rate=RATE).run()
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
        (shared.folder / "slots.conf").write_text(f"server unix:{path} max_fails=0;\n")
        with behind_nginx(shared) as shared_front:
            yield {"slots": front, "shared": shared_front}


def _bind_to(server: Server, path: str) -> None:
    server.stop()
    server.environment["GUNICORN_CMD_ARGS"] = f"--bind=unix:{path}"
    server.environment["FORWARDED_ALLOW_IPS"] = "*"
    server.start()
    server.until_ready()
