"""Stops the server within the graceful time-out, in whatever state sockets, clocks and workers are.

Stock behaviour that this replaces:

* a missing socket file ends the stop with a traceback and leaves the workers behind;
* the time-out is measured by the wall clock, and a step of that clock kills workers that still answer.
"""

import logging
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from slipway.serving.clock import RunningClock

log = logging.getLogger("gunicorn.error")

QUICK_SECONDS = 4.0  # on SIGINT and SIGQUIT; a worker's own end takes up to about 3
POLL_SECONDS = 0.05


class WorkerProcesses(Protocol):
    """The server as a shutdown needs it; gunicorn's arbiter implements this."""

    def kill_workers(self, sig: int) -> None:
        """Send a signal to all workers."""

    def wait_for_signals(self, timeout: float = 1.0) -> list[int]:
        """Return the signals that have arrived, after at most `timeout` seconds."""

    def reap_workers(self) -> None:
        """Take note of ended workers."""


class Shutdown:
    """Ends all workers, and kills those that are late."""

    def __init__(self, workers: WorkerProcesses, clock: RunningClock, graceful_timeout: float) -> None:
        self._workers = workers
        self._clock = clock
        self._graceful_seconds = graceful_timeout
        self._quick_seconds = min(QUICK_SECONDS, graceful_timeout)

    def end_workers(self, running: Callable[[], int], *, graceful: bool) -> None:
        """Tell workers to end, wait, and kill the rest; SIGINT or SIGQUIT meanwhile makes it quick."""
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
    """Close the listeners first: new clients are refused and may go elsewhere; workers answer accepted ones."""
    for listener in listeners:
        name: Any = listener.getsockname()
        listener.close()
        if unlink and isinstance(name, str) and name and not name.startswith("\0"):
            Path(name).unlink(missing_ok=True)
