"""How long requests took of late: quantiles of what has come to a histogram in the last half minute."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

WINDOW_SECONDS = 30.0


@dataclass(slots=True)
class Latencies:
    """Takes a histogram's counts from time to time."""

    seen: deque[tuple[float, tuple[float, ...]]] = field(default_factory=deque)  # when, and the counts

    def take(self, counts: Sequence[float]) -> tuple[float, ...]:
        """Note the counts of now; how many have come to each bucket within the window."""
        now, newest = time.monotonic(), tuple(counts)
        if not self.seen:
            self.seen.append((now, (0.0,) * len(newest)))
        self.seen.append((now, newest))
        while len(self.seen) > 2 and now - self.seen[1][0] >= WINDOW_SECONDS:
            self.seen.popleft()
        return tuple(new - old for new, old in zip(newest, self.seen[0][1], strict=True))


def quantile(share: float, limits: Sequence[float], counts: Sequence[float]) -> float | None:
    """A quantile, within its bucket in proportion; None of nothing.

    The last bucket holds what is above the highest limit, which is then the answer.
    """
    wanted, below, lower = share * sum(counts), 0.0, 0.0
    if not wanted:
        return None
    for limit, count in zip(limits, counts, strict=False):
        if count and below + count >= wanted:
            return lower + (limit - lower) * (wanted - below) / count
        below, lower = below + count, limit
    return lower
