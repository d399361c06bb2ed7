"""When each request should start: latency counts from there, so that a server that stalls can't hide its queue.

locust's `constant_throughput` forgets the starts that it misses while it waits for an answer ("coordinated omission":
https://github.com/giltene/wrk2#acknowledgements). A schedule keeps them: they are made up one after another.
"""

from random import random


class Schedule:
    """Starts at a steady rate, from a random phase on, so that many users do not start at one moment."""

    def __init__(self, rate: float, now: float, phase: float | None = None) -> None:
        self.interval = 1 / rate  # seconds
        self.due = now + self.interval * (random() if phase is None else phase)

    def advance(self) -> float:
        """Move on to the next start and return it."""
        self.due += self.interval
        return self.due

    def delay(self, now: float) -> float:
        """How long to wait for the start that is due: nothing when it is late."""
        return max(0.0, self.due - now)

    def missed(self, now: float) -> int:
        """How many starts were due and not made, besides the one that is under way: what a test leaves at its end."""
        return int(max(0.0, now - self.due) / self.interval)
