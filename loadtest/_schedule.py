"""The scheduled start of each request: latency is measured from it, so that a stalled server can't hide its queue.

locust's `constant_throughput` drops the starts that it misses while it waits for an answer ("coordinated omission":
https://github.com/giltene/wrk2#acknowledgements). A schedule keeps them: late requests are sent one after another.
"""

from random import random


class Schedule:
    """Starts at a steady rate with a random phase, so that users do not all start at the same moment."""

    def __init__(self, rate: float, now: float, phase: float | None = None) -> None:
        self.interval = 1 / rate  # seconds
        self.due = now + self.interval * (random() if phase is None else phase)

    def advance(self) -> float:
        """Move on to the next start and return it."""
        self.due += self.interval
        return self.due

    def delay(self, now: float) -> float:
        """Return the seconds until the start that is due, 0 if it is late."""
        return max(0.0, self.due - now)

    def missed(self, now: float) -> int:
        """Return the number of due starts that were not made by the end of a test, without the one under way."""
        return int(max(0.0, now - self.due) / self.interval)
