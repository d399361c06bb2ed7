"""Which workers are ready, which hang, and the signals that these get."""

import signal
from collections.abc import Iterator

import pytest

from slipway.serving.watch import Watch
from tests.serving.workers import SETTINGS, Workers, no_processes


@pytest.fixture
def workers() -> Iterator[Workers]:
    with no_processes() as made:
        yield made


@pytest.fixture
def watch(workers: Workers) -> Watch:
    return Watch(workers.roster, workers.clock, lambda: SETTINGS, workers.kill)


def look(watch: Watch) -> None:
    watch.newly_ready()
    watch.end_hanging()


def test_first_heartbeat_is_readiness(workers: Workers, watch: Watch) -> None:
    """A worker is newly ready once, after its first heartbeat."""
    state = workers.add(1)
    assert watch.newly_ready() == []

    workers.wait(1, 1)
    assert watch.newly_ready() == [state]
    assert watch.newly_ready() == []


def test_silent_worker_is_aborted_and_then_killed(workers: Workers, watch: Watch) -> None:
    """After TIMEOUT without a heartbeat a worker gets SIGABRT, to write its stacks, and SIGKILL a second later."""
    for pid in (1, 2):
        workers.add(pid)
    for _ in range(16):
        workers.wait(0.5, 2)
        look(watch)

    assert workers.signals == [(1, signal.SIGABRT), (1, signal.SIGKILL)]


def test_frozen_time_counts_for_nothing(workers: Workers, watch: Watch) -> None:
    """An hour in which nothing ran ends no worker; a worker without heartbeats afterwards is ended."""
    workers.add(1)
    workers.wait(2, 1)
    look(watch)
    workers.time.now += 3_600
    workers.clock.tick()
    look(watch)
    assert workers.signals == []

    for _ in range(8):
        workers.wait(0.5)
        look(watch)
    assert workers.signals == [(1, signal.SIGABRT)]


def test_late_worker_is_killed(workers: Workers, watch: Watch) -> None:
    """A worker told to stop is killed after GRACEFUL_TIMEOUT, even if it beats; it is told only once."""
    state = workers.add(1)
    watch.retire(state)
    watch.retire(state)
    for _ in range(10):
        workers.wait(0.5, 1)
        look(watch)

    assert workers.signals == [(1, signal.SIGTERM), (1, signal.SIGKILL)]
    assert state.killed_because == "is still there 4 s after it was told to stop"


@pytest.mark.parametrize(
    ("wait_status", "report", "reason"),
    [
        (0, "", ""),
        (signal.SIGTERM, "", ""),
        (7 << 8, "", "exit code 7"),
        (signal.SIGSEGV, "", "killed by SIGSEGV"),
        (0, "two connections were cut", "two connections were cut"),
        (7 << 8, "lifespan.shutdown raised", "lifespan.shutdown raised"),
        (None, "", ""),
    ],
)
def test_reason_of_an_unclean_end(workers: Workers, wait_status: int | None, report: str, reason: str) -> None:
    """The reason is the worker's own report, or how its process ended, and empty after a clean end."""
    state = workers.add(1)
    state.handover.report.write(report)
    state.ended(wait_status)

    assert state.end_reason == reason
