"""Two results side by side: what one's own change did."""

import math
from collections.abc import Callable, Iterator
from statistics import median

from bench.figures import Figures, Run, cpu_per_request, histogram
from bench.plan import AGAIN
from bench.stats import noise_floor, paired_ratio

FIGURES: tuple[tuple[str, str, Callable[[Run], float], bool], ...] = (
    ("p50 in ms", "rate", lambda run: histogram(run).percentile(50), False),
    ("CPU in µs per request", "rate", cpu_per_request, False),
    ("peak in requests/s", "peak", lambda run: float(run["rate"]), True),
)


def lines(a: Figures, b: Figures) -> Iterator[tuple[str, ...]]:
    """A line for each workload, arm and figure that both have."""
    for workload in a.workloads():
        for arm in a.arms():
            for name, what, figure, higher_is_better in FIGURES:
                one, two = (_values(figures, what, workload, arm, figure) for figures in (a, b))
                if one and two:
                    yield (workload, arm, name, *_line(one, two, _floor(a, what, workload, figure), higher_is_better))


def _line(one: list[float], two: list[float], floor: float, higher_is_better: bool) -> tuple[str, ...]:
    count = min(len(one), len(two))
    interval = paired_ratio(two[:count], one[:count])
    if count < 3:
        words = "too few rounds to tell"
    elif interval.low <= 1 + floor and interval.high >= 1 - floor:
        words = "no measurable difference"
    else:
        words = "better" if (interval.ratio > 1) == higher_is_better else "worse"
    return f"{median(one):.3g}", f"{median(two):.3g}", str(interval), words


def _values(figures: Figures, what: str, workload: str, label: str, figure: Callable[[Run], float]) -> list[float]:
    values = [figure(run) for run in figures.of(what, workload, label) if run["round"]]
    return [value for value in values if not math.isnan(value)]


def _floor(figures: Figures, what: str, workload: str, figure: Callable[[Run], float]) -> float:
    base = figures.arms()[0]
    one, two = (_values(figures, what, workload, label, figure) for label in (base, base + AGAIN))
    count = min(len(one), len(two))
    return noise_floor(one[:count], two[:count])
