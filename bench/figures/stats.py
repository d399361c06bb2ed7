"""How sure a comparison is: intervals of paired ratios, the noise floor, drift. No percentile is ever averaged here."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

RESAMPLES = 2_000
DRIFT = 0.8  # rank correlation with the order of runs that chance gives 8 values in 1 of 50 cases
LEAST_FOR_DRIFT = 8


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % interval."""

    middle: float
    low: float
    high: float

    def __str__(self) -> str:
        return "-" if math.isnan(self.middle) else f"{short(self.middle)} ({short(self.low)} to {short(self.high)})"


def short(value: float) -> str:
    """Three digits, or all of a whole number; a dash for what is not known."""
    return "-" if math.isnan(value) else f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


NOTHING = Interval(float("nan"), float("nan"), float("nan"))


def spread(values: Sequence[float], seed: int = 1) -> Interval:
    """The median over rounds with a bootstrap interval; of three rounds that is the least and the most."""
    if not values:
        return NOTHING
    chance = random.Random(seed)
    medians = sorted(median(chance.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return Interval(median(values), medians[int(0.025 * RESAMPLES)], medians[int(0.975 * RESAMPLES)])


def paired_ratio(a: Sequence[float], b: Sequence[float], seed: int = 1) -> Interval:
    """The spread of a/b over rounds: both figures of a pair saw the same machine."""
    return spread([x / y for x, y in zip(a, b, strict=True) if y > 0], seed)


def noise_floor(a: Sequence[float], again: Sequence[float]) -> float:
    """How far apart an arm and itself were at worst: 0.1 means that ratios from 0.9 to 1.1 say nothing."""
    return max((abs(x / y - 1) for x, y in zip(a, again, strict=True) if y > 0), default=0.0)


def verdict(interval: Interval, floor: float, *, rounds: int, higher_is_better: bool = True) -> str:
    """In words; with fewer than three rounds, or inside the noise, none."""
    if rounds < 3:
        return "too few rounds to tell"
    if not (interval.low > 1 + floor or interval.high < 1 - floor):
        return "no measurable difference"
    return "ASGI better" if (interval.middle > 1) == higher_is_better else "WSGI better"


def drift(values: Sequence[float]) -> float:
    """Spearman's correlation of the values with their order: a machine that grows slower shows here."""
    n = len(values)
    if n < 2 or len(set(values)) == 1:
        return 0.0
    ranks = {index: rank for rank, index in enumerate(sorted(range(n), key=values.__getitem__))}
    return 1 - 6 * sum((index - rank) ** 2 for index, rank in ranks.items()) / (n * (n * n - 1))
