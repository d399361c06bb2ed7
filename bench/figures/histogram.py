"""Latencies in buckets of three significant digits. Histograms add up exactly; percentiles must never be averaged."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping

ENOUGH = 100  # samples beyond a percentile; with fewer the percentile is chance


class Histogram:
    """Counts of latencies, in milliseconds, by bucket."""

    def __init__(self, buckets: Mapping[str, int] | Mapping[float, int] | None = None) -> None:
        self.buckets: Counter[float] = Counter()
        for value, count in (buckets or {}).items():
            self.buckets[float(value)] += count

    def __len__(self) -> int:
        return self.buckets.total()

    def add(self, milliseconds: float, count: int = 1) -> None:
        self.buckets[three_digits(milliseconds)] += count

    def percentile(self, percent: float) -> float:
        """The percentile by nearest rank; NaN if there are no values."""
        rank = percent / 100 * len(self)
        seen = 0
        for value in sorted(self.buckets):
            seen += self.buckets[value]
            if seen >= rank:
                return value
        return float("nan")

    def interval(self, percent: float) -> tuple[float, float]:
        """Return the 95 % interval of the percentile, by order statistics; NaN without values.

        The number of values below it, out of n, is binomial, so its rank has a standard deviation of sqrt(n p (1 - p)).
        """
        share, count = percent / 100, len(self)
        width = 1.96 * math.sqrt(count * share * (1 - share))
        low, high = (
            self.percentile(100 * min(max(share * count + sign * width, 1), count) / max(1, count)) for sign in (-1, 1)
        )
        return low, high

    def supports(self, percent: float) -> bool:
        """Whether at least ENOUGH values lie beyond the percentile."""
        return len(self) * (100 - percent) / 100 >= ENOUGH

    def mean(self) -> float:
        return sum(value * count for value, count in self.buckets.items()) / max(1, len(self))

    def curve(self) -> list[tuple[float, float]]:
        """(share of values above, milliseconds) for each bucket: the points of an HDR percentile plot."""
        points, seen, total = [], 0, len(self)
        for value in sorted(self.buckets):
            points.append((1 - seen / total, value))
            seen += self.buckets[value]
        return points

    def as_dict(self) -> dict[str, int]:
        return {f"{value:g}": self.buckets[value] for value in sorted(self.buckets)}


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """One histogram with the values of all."""
    total = Histogram()
    for histogram in histograms:
        total.buckets.update(histogram.buckets)
    return total


def three_digits(value: float) -> float:
    return float(f"{value:.3g}")
