"""Two results side by side: what one's own change did."""

import math
from collections.abc import Callable, Iterator
from statistics import median

from bench.figures.figures import Figures, Run, cpu_per_request, histogram
from bench.figures.stats import noise_floor, paired_ratio, short
from bench.run.plan import AGAIN

FIGURES: tuple[tuple[str, str, Callable[[Run], float], bool], ...] = (
    ("p50 in ms", "rate", lambda run: histogram(run).percentile(50), False),
    ("CPU in µs per request", "rate", cpu_per_request, False),
    ("KiB per waiting connection", "rate", lambda run: float((run.get("memory") or {}).get("kib", math.nan)), False),
    ("peak in requests/s", "peak", lambda run: float(run["rate"]), True),
)
ALIKE = 0.1  # how far the rates of two results may lie apart for their latencies to be compared


def lines(a: Figures, b: Figures) -> Iterator[tuple[str, ...]]:
    """A line for each workload, arm and figure that both have."""
    for workload in a.workloads():
        for arm in a.arms():
            for name, what, figure, higher_is_better in FIGURES:
                one, two = (_values(figures, what, workload, arm, figure) for figures in (a, b))
                if one and two:
                    line = _line(one, two, _floor(a, what, workload, figure), higher_is_better)
                    yield (workload, arm, name, *line, _rates(a, b, workload) if what == "rate" else "")


def _line(one: list[float], two: list[float], floor: float, higher_is_better: bool) -> tuple[str, ...]:
    count = min(len(one), len(two))
    interval = paired_ratio(two[:count], one[:count])
    if count < 3:
        words = "too few rounds to tell"
    elif interval.low <= 1 + floor and interval.high >= 1 - floor:
        words = "no measurable difference"
    else:
        words = "better" if (interval.middle > 1) == higher_is_better else "worse"
    return short(median(one)), short(median(two)), str(interval), words


def _rates(a: Figures, b: Figures, workload: str) -> str:
    """A rate is a part of what the weakest arm held in that run: figures at rates far apart are no comparison."""
    one, two = a.common_rates(workload), b.common_rates(workload)
    alike = len(one) == len(two) and all(abs(x / y - 1) <= ALIKE for x, y in zip(one, two, strict=True))
    shown = " and ".join("+".join(f"{rate:.0f}/s" for rate in rates) for rates in (one, two))
    return shown if alike else f"{shown}: NOT COMPARABLE"


def _values(figures: Figures, what: str, workload: str, label: str, figure: Callable[[Run], float]) -> list[float]:
    values = [figure(run) for run in figures.of(what, workload, label) if run["round"]]
    return [value for value in values if not math.isnan(value)]


def _floor(figures: Figures, what: str, workload: str, figure: Callable[[Run], float]) -> float:
    base = figures.arms()[0]
    one, two = (_values(figures, what, workload, label, figure) for label in (base, base + AGAIN))
    count = min(len(one), len(two))
    return noise_floor(one[:count], two[:count])
