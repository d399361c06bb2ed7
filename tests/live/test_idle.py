"""An idle worker: it acts when something happens, and rarely otherwise."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.client import request
from tests.harness.processes import children, is_alive, until
from tests.harness.stack import Server, serving

SECONDS = 2.0  # in which a worker's wake-ups are counted
MOST_PER_SECOND = 3  # the heartbeat's one, and libuv's own beside it; with ten checks a second there are more than ten
MOST_WITH_BEATS = 5  # of all threads, where workers send each other beats: four, and seven if each also polled
ENDS = 3.0  # for an idle worker to end after it is told to
SETTLES = 20.0


@pytest.fixture(scope="module")
def idle() -> Iterator[Server]:
    """A server of two workers with slots, whose app does nothing by itself."""
    with serving("bench.layers.apps.bare:get_user", DRAIN_SECONDS="1.5", GRACEFUL_TIMEOUT="4") as server:
        yield server


def sleeps(pid: int) -> int:
    """Return how often a process's threads went to sleep by themselves, which other load does not change."""
    threads = Path(f"/proc/{pid}/task").glob("*/status")
    lines = [line for thread in threads for line in thread.read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


async def looks_per_second(pid: int) -> float:
    before, began = sleeps(pid), time.monotonic()
    await asyncio.sleep(SECONDS)
    return (sleeps(pid) - before) / (time.monotonic() - began)


async def until_it_rests(server: Server, most: float = MOST_PER_SECOND) -> None:
    async with asyncio.timeout(SETTLES):
        while max([await looks_per_second(pid) for pid in children(server.pid)]) > most:
            pass


async def test_an_idle_worker_rests(idle: Server) -> None:
    """An idle worker wakes up a few times a second, after its start and again after requests."""
    await until_it_rests(idle)
    for _ in range(20):
        assert (await request(idle.address(0), "GET", "/")).status == 200

    await until_it_rests(idle)


async def test_a_resting_worker_ends_when_it_is_told(idle: Server) -> None:
    """A signal wakes an idle worker: the drain does not wait for its next check."""
    await until_it_rests(idle)
    worker = children(idle.pid)[0]
    os.kill(worker, signal.SIGTERM)

    await until(lambda: not is_alive(worker), ENDS, "the worker's end")


async def test_resting_workers_are_replaced(idle: Server) -> None:
    """The arbiter wakes idle workers for a reload, and each successor takes its place."""
    await until_it_rests(idle)
    before = children(idle.pid)
    code, output = await idle.reload()

    assert (code, not set(before) & set(children(idle.pid))) == (0, True), output


async def test_beats_are_told_in_few_wake_ups() -> None:
    """The shipped app's workers beat just after the heartbeat, and another's beat saves them a read of the log."""
    with serving() as server:
        await until_it_rests(server, MOST_WITH_BEATS)
