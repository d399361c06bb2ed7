"""Each arm by itself: at every rate, idle, and nearly idle."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bench.figures.figures import Figures, Run, histogram
from bench.figures.stats import Interval, spread


@dataclass(frozen=True, slots=True)
class ArmSummary:
    """One arm at one rate, with intervals over the rounds; times are milliseconds."""

    workload: str
    title: str
    label: str
    rate: float
    n: int
    p50: Interval
    p99: Interval
    uncorrected: Interval  # the p99 measured from the actual start, as a closed-loop client sees it
    failures: Counter[str]
    kib: Interval  # memory of an idle connection

    def failed(self) -> str:
        """The number of failed requests by reason; empty if there are none."""
        return ", ".join(f"{count} x {what}" for what, count in self.failures.most_common())


@dataclass(frozen=True, slots=True)
class QuietArm:
    """The CPU time of an idle or nearly idle arm and its nginx, as shares of one processor."""

    label: str
    shares: dict[float, float]  # by requests per second


def summaries(figures: Figures) -> list[ArmSummary]:
    """Summarize every arm and the control, at every rate."""
    return [
        _summary(figures, workload, label, rate, runs)
        for workload in figures.workloads() for rate in figures.common_rates(workload) for label in figures.labels()
        if (runs := [run for run in figures.of("rate", workload, label, valid=False) if run["rate"] == rate])
    ]  # fmt: skip


def quiet(figures: Figures) -> list[QuietArm]:
    """Return the idle figures of each arm that has them."""
    found = {label: {run["rate"]: run["share"] for run in figures.of("quiet", label=label)} for label in figures.arms()}
    return [QuietArm(label, shares) for label, shares in found.items() if shares]


def _summary(figures: Figures, workload: str, label: str, rate: float, runs: Sequence[Run]) -> ArmSummary:
    valid = [run for run in runs if not run["void"]]

    def over_rounds(percent: float, key: str = "corrected") -> Interval:
        return spread([h.percentile(percent) for run in valid if len(h := histogram(run, key))])

    failures: Counter[str] = Counter()
    for run in valid:
        failures.update(run["result"]["failures"])
    # of void runs too: memory does not depend on the generator
    kib = [run["memory"]["kib"] for run in runs if run.get("memory")]
    return ArmSummary(
        workload, figures.names[workload].title, label, rate, sum(len(histogram(run)) for run in valid),
        over_rounds(50), over_rounds(99), over_rounds(99, "uncorrected"), failures, spread(kib),
    )  # fmt: skip
