"""The arbiter's clock, which counts only the seconds in which the arbiter itself ran.

While a whole container or process group is stopped (`docker pause`, SIGSTOP), the monotonic clock goes on. By that
clock every worker would seem to have missed its heartbeats, although it was stopped as well.
"""

import time
from collections.abc import Callable

LONGEST_STEP_SECONDS = 2.0  # the arbiter takes a step at least once a second; a longer pause counts as this


class RunningClock:
    """Seconds of running, as of the last tick."""

    def __init__(self, source: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._last = source()
        self._seconds = 0.0

    def tick(self) -> float:
        """Count the time since the last tick, and return the sum."""
        now = self._source()
        self._seconds += min(now - self._last, LONGEST_STEP_SECONDS)
        self._last = now
        return self._seconds

    def now(self) -> float:
        return self._seconds
