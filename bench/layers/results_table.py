"""The figures of the cases: medians over rounds of the ratio to the base case of the same round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from rich.table import Table

from bench.figures.stats import Interval, paired_ratio
from bench.layers.measure import Measurement


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The result of one case. `ratio` is the base's CPU time divided by this case's: at 1 both cost the same."""

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


def case_results(
    measured: Mapping[str, Sequence[Measurement]], base: str, goals: Mapping[str, float | None]
) -> list[CaseResult]:
    """One result for each case, in the given order.

    A window without any response (a stalled machine) is left out together with its pair.
    """
    found = []
    for name, runs in measured.items():
        pairs = [pair for pair in zip(runs, measured[base], strict=True) if all(one.peak.requests for one in pair)]
        ratio = paired_ratio([of_base.microseconds for _, of_base in pairs], [one.microseconds for one, _ in pairs])
        microseconds = median(one.microseconds for one, _ in pairs)
        rate = median(one.peak.rate for one, _ in pairs)
        rates = median(one.peak.rate / of_base.peak.rate for one, of_base in pairs)
        errors = sum(one.peak.errors for one in runs)
        found.append(CaseResult(name, ratio, microseconds, rate, rates, errors, goals.get(name)))
    return found


def table(title: str, results: Sequence[CaseResult]) -> Table:
    """The results as a terminal table."""
    drawn = Table(title=title, title_justify="left")
    for heading in ("row", "CPU ratio", "CPU µs/request", "requests/s", "rate ratio", "errors", "goal", ""):
        drawn.add_column(heading, justify="left" if heading in ("row", "") else "right")
    for result in results:
        goal = "" if result.goal is None else f"≥ {result.goal:.2f}"
        drawn.add_row(
            result.name, str(result.ratio), f"{result.microseconds:.1f}", f"{result.rate:.0f}",
            f"{result.rate_ratio:.2f}", str(result.errors), goal, result.reached,
        )  # fmt: skip
    return drawn
