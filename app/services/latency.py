"""Recent latencies: quantiles of the counts added to a histogram within the last 30 seconds."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

WINDOW_SECONDS = 30.0


@dataclass(slots=True)
class Latencies:
    """Snapshots of a histogram's counts."""

    seen: deque[tuple[float, tuple[float, ...]]] = field(default_factory=deque)  # when, and the counts

    def take(self, counts: Sequence[float]) -> tuple[float, ...]:
        """Store the current counts; return how many were added to each bucket within the window."""
        now, newest = time.monotonic(), tuple(counts)
        if not self.seen:
            self.seen.append((now, (0.0,) * len(newest)))
        self.seen.append((now, newest))
        while len(self.seen) > 2 and now - self.seen[1][0] >= WINDOW_SECONDS:
            self.seen.popleft()
        return tuple(new - old for new, old in zip(newest, self.seen[0][1], strict=True))


def quantile(share: float, limits: Sequence[float], counts: Sequence[float]) -> float | None:
    """Return a quantile, interpolated linearly within its bucket; None without any counts.

    The last bucket counts values above the highest limit; a quantile there is returned as that limit.
    """
    wanted, below, lower = share * sum(counts), 0.0, 0.0
    if not wanted:
        return None
    for limit, count in zip(limits, counts, strict=False):
        if count and below + count >= wanted:
            return lower + (limit - lower) * (wanted - below) / count
        below, lower = below + count, limit
    return lower
