"""The server's end: within the graceful time-out, whatever has become of sockets, clocks and workers.

Stock behaviour that this answers:

* a missing socket file ends the stop with a traceback and leaves the workers behind;
* the time for it is counted by the wall clock, a step of which kills workers that still answer.
"""

import logging
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from slipway.serving.clock import RunningClock

log = logging.getLogger("gunicorn.error")

QUICK_SECONDS = 4.0  # SIGINT and SIGQUIT: about three are the workers' own
POLL_SECONDS = 0.05


class WorkerProcesses(Protocol):
    """What a shutdown needs of the server; gunicorn's arbiter has it."""

    def kill_workers(self, sig: int) -> None:
        """Send a signal to all workers."""

    def wait_for_signals(self, timeout: float = 1.0) -> list[int]:
        """The signals that have come, after at most `timeout` seconds."""

    def reap_workers(self) -> None:
        """Take note of workers that have ended."""


class Shutdown:
    """Ends all workers, and kills those that are late."""

    def __init__(self, workers: WorkerProcesses, clock: RunningClock, graceful_timeout: float) -> None:
        self._workers = workers
        self._clock = clock
        self._graceful_seconds = graceful_timeout
        self._quick_seconds = min(QUICK_SECONDS, graceful_timeout)

    def end_workers(self, running: Callable[[], int], *, graceful: bool) -> None:
        """Tell workers to end, wait, and kill the rest; a quick signal meanwhile makes it quick."""
        self._workers.kill_workers(signal.SIGTERM if graceful else signal.SIGQUIT)
        deadline = self._clock.tick() + (self._graceful_seconds if graceful else self._quick_seconds)
        while running() and self._clock.tick() < deadline:
            if {signal.SIGINT, signal.SIGQUIT} & {*self._workers.wait_for_signals(POLL_SECONDS)}:
                log.info("Quick shutdown requested")
                self._workers.kill_workers(signal.SIGQUIT)
                deadline = min(deadline, self._clock.tick() + self._quick_seconds)
            self._workers.reap_workers()
        self._workers.kill_workers(signal.SIGKILL)


def close_listeners(listeners: Sequence[Any], *, unlink: bool) -> None:
    """First of all: new clients are refused and may go elsewhere; workers still answer those that they have."""
    for listener in listeners:
        name: Any = listener.getsockname()
        listener.close()
        if unlink and isinstance(name, str) and name and not name.startswith("\0"):
            Path(name).unlink(missing_ok=True)
