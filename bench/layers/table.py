"""The figures of the rows: medians over rounds, each round's ratio to the base row of the same round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from rich.table import Table

from bench.layers.measure import Weighed
from bench.stats import Interval, paired_ratio


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
    """One line for each row, in the order in which they were given."""
    of_base = weighed[base]
    return [
        Line(
            name,
            paired_ratio([one.microseconds for one in of_base], [one.microseconds for one in runs]),
            median(one.microseconds for one in runs),
            median(one.peak.rate for one in runs),
            median(one.peak.rate / other.peak.rate for one, other in zip(runs, of_base, strict=True)),
            sum(one.peak.errors for one in runs),
            goals.get(name),
        )
        for name, runs in weighed.items()
    ]


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
