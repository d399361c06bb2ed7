"""How long it takes to replace workers: a killed one, and all of them by a reload."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from statistics import median

from tests.harness.stack import Server, behind_nginx, serving
from tests.promises import scenarios
from tests.promises.promise import Row

WORKERS = 4
PLACE_SECONDS = 0.3
RELOAD_SECONDS = 1.9  # half of what it took on two cores when each worker imported all libraries
SERVED_SECONDS = 1.5  # a worker killed sooner after its start gets its successor later, on purpose


@dataclass(frozen=True, slots=True)
class Replaced:
    """The numbers of kills and of reloads."""

    kills: int
    reloads: int


async def replacing(size: Replaced) -> AsyncIterator[Row]:
    """Kill workers that have served for a while, then reload by turns; the median of each counts."""
    with serving(workers=WORKERS) as server, behind_nginx(server):
        killed = [await _kill(server) for _ in range(size.kills)]
    with serving(workers=WORKERS) as shared, serving(workers=WORKERS, PRELOAD="off") as alone:
        reloads = [(await _reload(shared), await _reload(alone)) for _ in range(size.reloads)]
    yield Row(
        f"a killed worker's place is taken within {PLACE_SECONDS:g} s",
        _shown(killed),
        median(killed) <= PLACE_SECONDS,
    )
    by_fork, each = zip(*reloads, strict=True)
    yield Row(
        f"a reload of {WORKERS} workers is done within {RELOAD_SECONDS:g} s of the command",
        _shown(by_fork),
        median(by_fork) <= RELOAD_SECONDS,
    )
    yield Row("the same with PRELOAD=off", _shown(each), None)


async def _kill(server: Server) -> float:
    await asyncio.sleep(SERVED_SECONDS)
    return await scenarios.kill_one(server)


async def _reload(server: Server) -> float:
    began = time.monotonic()
    code, output = await server.reload()
    assert code == 0, output
    return time.monotonic() - began


def _shown(seconds: Sequence[float]) -> str:
    return f"{median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"
