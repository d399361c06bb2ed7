"""Two results side by side: the effect of a change."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.figures.figures import Figures, Run, cpu_per_request, histogram
from bench.figures.results import AGAIN
from bench.figures.stats import LEAST_ROUNDS, noise_floor, paired_ratio, short
from bench.report.report import figures_of

FIGURES: tuple[tuple[str, str, Callable[[Run], float], bool], ...] = (
    ("p50 in ms", "rate", lambda run: histogram(run).percentile(50), False),
    ("CPU in µs per request", "rate", cpu_per_request, False),
    ("KiB per idle connection", "rate", lambda run: float((run.get("memory") or {}).get("kib", math.nan)), False),
    ("peak in requests/s", "peak", lambda run: float(run["rate"]), True),
)
ALIKE = 0.1  # relative difference of rates up to which latencies are comparable


def show(a: Path, b: Path, console: Console) -> None:
    """Print the differences from A to B, arm by arm: medians of the rounds and their intervals."""
    table = Table(title=f"{a.name} (A) and {b.name} (B)")
    for heading in ("workload", "arm", "figure", "A", "B", "B by A", "in words", "at"):
        table.add_column(heading)
    for line in lines(figures_of(a), figures_of(b)):
        table.add_row(*line)
    console.print(table)


def lines(a: Figures, b: Figures) -> Iterator[tuple[str, ...]]:
    """One line for each workload, arm and figure that both results have."""
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
    if count < LEAST_ROUNDS:
        words = "too few rounds to tell"
    elif interval.low <= 1 + floor and interval.high >= 1 - floor:
        words = "no measurable difference"
    else:
        words = "better" if (interval.middle > 1) == higher_is_better else "worse"
    return short(median(one)), short(median(two)), str(interval), words


def _rates(a: Figures, b: Figures, workload: str) -> str:
    """The rates of both results. They follow from each run's weakest arm, and may differ too much for a comparison."""
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
