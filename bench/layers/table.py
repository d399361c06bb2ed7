"""The figures of the rows: medians over rounds, each round's ratio to the base row of the same round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from rich.table import Table

from bench.figures.stats import Interval, paired_ratio
from bench.layers.measure import Weighed


@dataclass(frozen=True, slots=True)
class Line:
    """One row's result. `ratio` is the base's CPU time by this row's: 1 costs as little as the base."""

    name: str
    ratio: Interval
    microseconds: float
    rate: float
    rate_ratio: float
    errors: int
    goal: float | None

    @property
    def reached(self) -> str:
        if self.goal is None:
            return ""
        return "reached" if self.ratio.middle >= self.goal else "NOT reached"


def lines(weighed: Mapping[str, Sequence[Weighed]], base: str, goals: Mapping[str, float | None]) -> list[Line]:
    """One line for each row, in the order in which they were given.

    A window in which nothing was answered, since the machine stood still, is left out with its pair.
    """
    found = []
    for name, runs in weighed.items():
        pairs = [pair for pair in zip(runs, weighed[base], strict=True) if all(one.peak.requests for one in pair)]
        ratio = paired_ratio([of_base.microseconds for _, of_base in pairs], [one.microseconds for one, _ in pairs])
        microseconds = median(one.microseconds for one, _ in pairs)
        rate = median(one.peak.rate for one, _ in pairs)
        rates = median(one.peak.rate / of_base.peak.rate for one, of_base in pairs)
        errors = sum(one.peak.errors for one in runs)
        found.append(Line(name, ratio, microseconds, rate, rates, errors, goals.get(name)))
    return found


def table(title: str, found: Sequence[Line]) -> Table:
    """The same in the terminal."""
    drawn = Table(title=title, title_justify="left")
    for heading in ("row", "CPU ratio", "CPU µs/request", "requests/s", "rate ratio", "errors", "goal", ""):
        drawn.add_column(heading, justify="left" if heading in ("row", "") else "right")
    for line in found:
        goal = "" if line.goal is None else f"≥ {line.goal:.2f}"
        drawn.add_row(
            line.name, str(line.ratio), f"{line.microseconds:.1f}", f"{line.rate:.0f}", f"{line.rate_ratio:.2f}",
            str(line.errors), goal, line.reached,
        )  # fmt: skip
    return drawn
