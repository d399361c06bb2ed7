"""The first arm against each other one, at every common rate."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from bench.figures.figures import Figures, Run, cpu_per_request, histogram
from bench.figures.histogram import Histogram
from bench.figures.results import AGAIN
from bench.figures.stats import Interval, noise_floor, paired_ratio, verdict

PERCENTS = (99.9, 99, 90, 50)
WAITING = "waiting"
SATURATED = 0.9  # busy share of the servers' processors, above which they are the limit


@dataclass(frozen=True, slots=True)
class Comparison:
    """One workload at a common rate: the first arm, which is ASGI, against another."""

    workload: str
    title: str
    other: str
    rate: float
    percent: float  # the highest percentile with enough samples
    n: int
    base_ms: Interval
    other_ms: Interval
    latency: Interval  # ratio of the first arm to the other; below 1 the first is faster
    cpu: Interval
    floor: float  # noise floor of the latency
    verdict: str
    sustainable: tuple[float, float]
    limited: tuple[bool, bool]
    peak: Interval
    peak_verdict: str
    peak_limits: tuple[str, str]
    predicted: str  # empty without a prediction
    workers: int

    def peaks_limited_by(self) -> str:
        """Return both limits in words; workers that wait have not exhausted the processors."""
        return " against ".join(
            f"{self.workers} workers that wait" if limit == WAITING else limit for limit in self.peak_limits
        )


def comparisons(figures: Figures) -> list[Comparison]:
    """Compare the arms in every workload that both have, at every common rate."""
    base, *others = figures.arms()
    return [
        _comparison(figures, workload, base, other, rate)
        for workload in figures.workloads() for rate in figures.common_rates(workload) for other in others
        if figures.of("rate", workload, other, valid=False)  # WSGI has no websockets
    ]  # fmt: skip


def at_highest_rate(rows: Sequence[Comparison]) -> list[Comparison]:
    """Return the rows of each workload at its highest common rate."""
    highest: dict[str, float] = {}
    for row in rows:
        highest[row.workload] = max(row.rate, highest.get(row.workload, 0.0))
    return [row for row in rows if row.rate == highest[row.workload]]


def _comparison(figures: Figures, workload: str, base: str, other: str, rate: float) -> Comparison:
    all_base, all_other = (figures.latencies(workload, name, rate) for name in (base, other))
    smaller = min(all_base, all_other, key=len)
    percent = next((p for p in PERCENTS if smaller.supports(p)), 50)

    def latency(run: Run) -> float:
        return histogram(run).percentile(percent)

    def peak_rate(run: Run) -> float:
        return float(run["rate"])

    first, second, again = (figures.by_round("rate", workload, name, rate) for name in (base, other, base + AGAIN))
    peaks = [figures.by_round("peak", workload, name) for name in (base, other, base + AGAIN)]
    ratio, peak = _ratio(first, second, latency), _ratio(peaks[0], peaks[1], peak_rate)
    floor, peak_floor = noise_floor(*_pairs(first, again, latency)), noise_floor(*_pairs(peaks[0], peaks[2], peak_rate))
    words = verdict(ratio, floor, rounds=len(_pairs(first, second, latency)[0]), higher_is_better=False)
    if failed := _failed(figures, workload, rate, (base, other)):
        words = f"no verdict: {failed}"
    peak_words = verdict(peak, peak_floor, rounds=min(map(len, peaks[:2])))
    limits = _limit(peaks[0]), _limit(peaks[1])
    if other in figures.asgi_arms:
        words, peak_words = (text.replace("WSGI", "other").replace("ASGI", base) for text in (words, peak_words))
    base_search, other_search = (next(iter(figures.of("search", workload, name)), {}) for name in (base, other))
    return Comparison(
        workload=workload, title=figures.names[workload].title, other=other, rate=rate, percent=percent, n=len(smaller),
        base_ms=_of_all(all_base, percent), other_ms=_of_all(all_other, percent), latency=ratio,
        cpu=_ratio(first, second, cpu_per_request), floor=floor, verdict=words,
        sustainable=(base_search.get("sustainable", math.nan), other_search.get("sustainable", math.nan)),
        limited=(bool(base_search.get("limited")), bool(other_search.get("limited"))),
        peak=peak, peak_verdict=peak_words, peak_limits=limits,
        predicted="" if other in figures.asgi_arms else figures.about["predictions"][workload]["winner"],
        workers=figures.about["workers"],
    )  # fmt: skip


def _of_all(latencies: Histogram, percent: float) -> Interval:
    return Interval(latencies.percentile(percent), *latencies.interval(percent))


def _failed(figures: Figures, workload: str, rate: float, labels: Sequence[str]) -> str:
    """Return the arms with failed requests: a server that refuses or hangs is not faster."""
    found = []
    for label in labels:
        runs = [run for run in figures.of("rate", workload, label) if run["rate"] == rate]
        if failures := sum(sum(run["result"]["failures"].values()) for run in runs):
            found.append(f"{label} failed {failures} x")
    return ", ".join(found)


def _limit(runs: dict[int, Run]) -> str:
    """The limit of a closed load: the servers' processors, or waiting."""
    if not runs:
        return "-"
    return "processors" if median(run["busy"] for run in runs.values()) >= SATURATED else WAITING


def _pairs(
    a: dict[int, Run], b: dict[int, Run], figure: Callable[[Run], float]
) -> tuple[Sequence[float], Sequence[float]]:
    pairs = [(figure(a[number]), figure(b[number])) for number in sorted(a.keys() & b.keys())]
    kept = [(x, y) for x, y in pairs if not (math.isnan(x) or math.isnan(y))]
    return [x for x, _ in kept], [y for _, y in kept]


def _ratio(a: dict[int, Run], b: dict[int, Run], figure: Callable[[Run], float]) -> Interval:
    return paired_ratio(*_pairs(a, b, figure))
