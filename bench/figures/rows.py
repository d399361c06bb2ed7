"""The lines of the tables: ASGI against each other arm at a common rate, and each arm by itself."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from bench.figures.figures import Figures, Run, cpu_per_request, histogram
from bench.figures.stats import Interval, noise_floor, paired_ratio, spread, verdict
from bench.run.arms import BY_NAME as BY_ARM
from bench.run.plan import AGAIN
from bench.run.workloads import BY_NAME

PERCENTS = (99.9, 99, 90, 50)
SATURATED = 0.9  # share of the servers' processors that is as good as all


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the verdict: a workload, ASGI against another arm at a common rate."""

    workload: str
    other: str
    rate: float
    percent: float  # the highest percentile that has enough samples
    n: int
    ours: float  # milliseconds
    theirs: float
    latency: Interval  # ASGI's by the other's: below 1 is better
    cpu: Interval
    floor: float  # of the latency, between the arm and itself
    words: str
    sustainable: tuple[float, float]
    limited: tuple[bool, bool]
    peak: Interval
    peak_words: str
    peak_limits: tuple[str, str]
    predicted: str  # nothing, where nobody did

    @property
    def title(self) -> str:
        return BY_NAME[self.workload].title


@dataclass(frozen=True, slots=True)
class Alone:
    """One arm at one rate by itself, with the interval over rounds; times are milliseconds."""

    workload: str
    label: str
    rate: float
    n: int
    p50: Interval
    p99: Interval
    uncorrected: Interval  # the p99 as a client without a schedule would tell it
    failures: Counter[str]
    kib: Interval  # memory of a waiting connection

    @property
    def title(self) -> str:
        return BY_NAME[self.workload].title

    def failed(self) -> str:
        """How many requests failed and why; nothing when none did."""
        return ", ".join(f"{count} x {what}" for what, count in self.failures.most_common())


def verdicts(figures: Figures) -> list[Row]:
    """Every workload that both arms have, at every common rate."""
    base, *others = figures.arms()
    return [
        _row(figures, workload, base, other, rate)
        for workload in figures.workloads() for rate in figures.common_rates(workload) for other in others
        if figures.of("rate", workload, other, valid=False)  # WSGI has no websockets
    ]  # fmt: skip


def alone(figures: Figures) -> list[Alone]:
    """Every arm and the control, at every rate."""
    return [
        _alone(workload, label, rate, runs)
        for workload in figures.workloads() for rate in figures.common_rates(workload) for label in figures.labels()
        if (runs := [run for run in figures.of("rate", workload, label, valid=False) if run["rate"] == rate])
    ]  # fmt: skip


def _row(figures: Figures, workload: str, base: str, other: str, rate: float) -> Row:
    all_ours, all_theirs = (figures.latencies(workload, name, rate) for name in (base, other))
    smaller = min(all_ours, all_theirs, key=len)
    percent = next((p for p in PERCENTS if smaller.supports(p)), 50)

    def latency(run: Run) -> float:
        return histogram(run).percentile(percent)

    def peak_rate(run: Run) -> float:
        return float(run["rate"])

    ours, theirs, again = (figures.by_round("rate", workload, name, rate) for name in (base, other, base + AGAIN))
    peaks = [figures.by_round("peak", workload, name) for name in (base, other, base + AGAIN)]
    ratio, peak = _ratio(ours, theirs, latency), _ratio(peaks[0], peaks[1], peak_rate)
    floor, peak_floor = noise_floor(*_pairs(ours, again, latency)), noise_floor(*_pairs(peaks[0], peaks[2], peak_rate))
    words = verdict(ratio, floor, rounds=len(_pairs(ours, theirs, latency)[0]), higher_is_better=False)
    peak_words = verdict(peak, peak_floor, rounds=min(map(len, peaks[:2])))
    if BY_ARM[other].asgi:
        words, peak_words = (text.replace("WSGI", "other").replace("ASGI", base) for text in (words, peak_words))
    mine, found = (next(iter(figures.of("search", workload, name)), {}) for name in (base, other))
    return Row(
        workload=workload, other=other, rate=rate, percent=percent, n=len(smaller),
        ours=all_ours.percentile(percent), theirs=all_theirs.percentile(percent), latency=ratio,
        cpu=_ratio(ours, theirs, cpu_per_request), floor=floor, words=words,
        sustainable=(mine.get("sustainable", math.nan), found.get("sustainable", math.nan)),
        limited=(bool(mine.get("limited")), bool(found.get("limited"))), peak=peak, peak_words=peak_words,
        peak_limits=(_limit(peaks[0]), _limit(peaks[1])),
        predicted="" if BY_ARM[other].asgi else figures.about["predictions"][workload]["winner"],
    )  # fmt: skip


def _alone(workload: str, label: str, rate: float, runs: Sequence[Run]) -> Alone:
    valid = [run for run in runs if not run["void"]]

    def over_rounds(percent: float, key: str = "corrected") -> Interval:
        return spread([h.percentile(percent) for run in valid if len(h := histogram(run, key))])

    failures: Counter[str] = Counter()
    for run in valid:
        failures.update(run["result"]["failures"])
    kib = [run["memory"]["kib"] for run in runs if run.get("memory")]  # holds whatever the generator did
    return Alone(
        workload, label, rate, sum(len(histogram(run)) for run in valid), over_rounds(50), over_rounds(99),
        over_rounds(99, "uncorrected"), failures, spread(kib),
    )  # fmt: skip


def _limit(runs: dict[int, Run]) -> str:
    """What kept a closed load from being faster: the servers' processors, or that they waited for something."""
    if not runs:
        return "-"
    return "processors" if median(run["busy"] for run in runs.values()) >= SATURATED else "waiting"


def _pairs(
    a: dict[int, Run], b: dict[int, Run], figure: Callable[[Run], float]
) -> tuple[Sequence[float], Sequence[float]]:
    pairs = [(figure(a[number]), figure(b[number])) for number in sorted(a.keys() & b.keys())]
    kept = [(x, y) for x, y in pairs if not (math.isnan(x) or math.isnan(y))]
    return [x for x, _ in kept], [y for _, y in kept]


def _ratio(a: dict[int, Run], b: dict[int, Run], figure: Callable[[Run], float]) -> Interval:
    return paired_ratio(*_pairs(a, b, figure))
