"""The shutdown without gunicorn: the signals to the workers, and the time limits."""

import signal

import pytest

from slipway.serving.clock import RunningClock
from slipway.serving.stop import POLL_SECONDS, Shutdown
from tests.serving.workers import Time


class Processes:
    """Two workers that end after some seconds, or never."""

    def __init__(self, time: Time, seconds: float, quick_at: float | None = None) -> None:
        self.time = time
        self.ends_at = time.now + seconds
        self.quick_at = quick_at and time.now + quick_at
        self.signals: list[int] = []
        self.running = 2

    def kill_workers(self, sig: int) -> None:
        self.signals.append(sig)

    def wait_for_signals(self, timeout: float = 1.0) -> list[int]:
        assert timeout == POLL_SECONDS
        self.time.now += timeout
        if self.quick_at is not None and self.time.now > self.quick_at:
            self.quick_at = None
            return [signal.SIGINT]
        return []

    def reap_workers(self) -> None:
        self.running = 0 if self.time.now >= self.ends_at else 2


@pytest.mark.parametrize(
    ("seconds", "graceful", "quick_at", "told", "at_most"),
    [
        (2, True, None, [signal.SIGTERM, signal.SIGKILL], 2.1),
        (99, True, None, [signal.SIGTERM, signal.SIGKILL], 8.1),
        (99, False, None, [signal.SIGQUIT, signal.SIGKILL], 4.1),
        (99, True, 1, [signal.SIGTERM, signal.SIGQUIT, signal.SIGKILL], 5.1),
        (99, True, 7, [signal.SIGTERM, signal.SIGQUIT, signal.SIGKILL], 8.1),
    ],
)
def test_end_is_bounded(
    seconds: float, graceful: bool, quick_at: float | None, told: list[int], at_most: float
) -> None:
    """The shutdown ends as soon as the workers have ended, and kills late ones; a quick signal shortens it."""
    time = Time()
    start = time.now
    processes = Processes(time, seconds, quick_at)
    Shutdown(processes, RunningClock(time), 8).end_workers(lambda: processes.running, graceful=graceful)

    assert processes.signals == told
    assert time.now - start <= at_most
