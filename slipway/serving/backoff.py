"""The pause before the next start of a worker, after failed starts."""

from slipway.serving.clock import RunningClock

FIRST_SECONDS = 0.1
LONGEST_SECONDS = 5.0
YOUNG_SECONDS = 0.3  # after a worker that ended soon after it was ready: it may have been killed by chance
MOST_DOUBLINGS = 16  # far more than LONGEST_SECONDS needs, and small enough for a float


class Backoff:
    """Doubles the pause with each failed start, up to a bound."""

    def __init__(self, clock: RunningClock) -> None:
        self._clock = clock
        self._failures = 0
        self._failed_at = -1.0
        self._until = 0.0
        self.failed_starts = 0

    def failed(self) -> float:
        """Note a failed start; return the seconds until the next one."""
        pause = min(FIRST_SECONDS * 2.0 ** min(self._failures, MOST_DOUBLINGS), LONGEST_SECONDS)
        self._failures += 1
        self.failed_starts += 1
        return self._hold(pause)

    def ended_young(self) -> float:
        """Note that a worker ended soon after it was ready; return the seconds until the next start."""
        return self._hold(YOUNG_SECONDS)

    def succeeded(self, spawned_at: float) -> None:
        """Note that a worker is ready; reset the failures if it was started after the last of them."""
        if spawned_at >= self._failed_at:
            self._failures = 0

    def holds(self) -> bool:
        """Whether the next start has to wait."""
        return self._clock.now() < self._until

    def _hold(self, pause: float) -> float:
        self._failed_at = self._clock.now()
        self._until = self._failed_at + pause
        return pause
