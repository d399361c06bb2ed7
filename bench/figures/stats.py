"""Statistics of a comparison: intervals of paired ratios, the noise floor, drift. Percentiles are never averaged."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

RESAMPLES = 2_000
DRIFT = 0.8  # rank correlation with the order of runs; 8 random values reach it in 1 of 50 cases
LEAST_FOR_DRIFT = 8
LEAST_ROUNDS = 5  # their range contains the median in 94 % of cases, that of three rounds in 75 %


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % interval."""

    middle: float
    low: float
    high: float

    def __str__(self) -> str:
        return "-" if math.isnan(self.middle) else f"{short(self.middle)} ({short(self.low)} to {short(self.high)})"


def short(value: float) -> str:
    """Format with three significant digits, from 100 on as a whole number; NaN as a dash."""
    return "-" if math.isnan(value) else f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


NOTHING = Interval(float("nan"), float("nan"), float("nan"))


def spread(values: Sequence[float], seed: int = 1) -> Interval:
    """The median over rounds with its bootstrap interval; for up to five rounds it is minimum to maximum."""
    if not values:
        return NOTHING
    chance = random.Random(seed)
    medians = sorted(median(chance.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return Interval(median(values), medians[int(0.025 * RESAMPLES)], medians[int(0.975 * RESAMPLES)])


def paired_ratio(a: Sequence[float], b: Sequence[float], seed: int = 1) -> Interval:
    """The spread of a/b over rounds; both figures of a pair were measured under the same conditions."""
    return spread([x / y for x, y in zip(a, b, strict=True) if y > 0], seed)


def noise_floor(a: Sequence[float], again: Sequence[float]) -> float:
    """The largest deviation of an arm from itself: at 0.1, ratios from 0.9 to 1.1 are not significant."""
    return max((abs(x / y - 1) for x, y in zip(a, again, strict=True) if y > 0), default=0.0)


def band(floor: float) -> tuple[float, float]:
    """The ratios that are within the noise floor."""
    return max(0.0, 1 - floor), 1 + floor


def verdict(interval: Interval, floor: float, *, rounds: int, higher_is_better: bool = True) -> str:
    """Describe a ratio; no arm is better with fewer than five rounds or within the noise floor."""
    if rounds < LEAST_ROUNDS:
        return "too few rounds to tell"
    low, high = band(floor)
    if not (interval.low > high or interval.high < low):
        return "no measurable difference"
    return "ASGI better" if (interval.middle > 1) == higher_is_better else "WSGI better"


def drift(values: Sequence[float]) -> float:
    """Spearman's rank correlation of the values with their order; detects a machine that becomes slower."""
    n = len(values)
    if n < 2 or len(set(values)) == 1:
        return 0.0
    ranks = {index: rank for rank, index in enumerate(sorted(range(n), key=values.__getitem__))}
    return 1 - 6 * sum((index - rank) ** 2 for index, rank in ranks.items()) / (n * (n * n - 1))
