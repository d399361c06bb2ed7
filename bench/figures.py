"""From raw results to the figures that tables and plots show. Void runs are left out, and counted."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.arms import BY_NAME as BY_ARM
from bench.histogram import Histogram, merged
from bench.plan import AGAIN
from bench.results import Results
from bench.stats import Interval, drift, noise_floor, paired_ratio, verdict
from bench.workloads import BY_NAME

Run = dict[str, Any]
PERCENTS = (99.9, 99, 90, 50)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the verdict table: a workload, ASGI against another arm at a common rate."""

    workload: str
    title: str
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
    predicted: str


class Figures:
    """All runs of one folder."""

    def __init__(self, results: Results) -> None:
        self.about = results.about
        self.floor = results.extra("floor")
        self.verified = results.extra("verified")
        self.visits = results.extra("visits")
        self.runs = list(results.all())
        self.void = [run for run in self.runs if run["void"]]

    def of(self, what: str, workload: str = "", label: str = "", *, valid: bool = True) -> list[Run]:
        return [
            run for run in self.runs
            if run["what"] == what and workload in ("", run["workload"]) and label in ("", run["label"])
            and not (valid and run["void"])
        ]  # fmt: skip

    def workloads(self) -> list[str]:
        """Those that were measured, in the order of the list."""
        found = {run["workload"] for run in self.runs if run["what"] in ("search", "rate")}
        return [name for name in BY_NAME if name in found]

    def arms(self) -> list[str]:
        return [str(name) for name in self.about["arms"]]

    def latencies(self, workload: str, label: str, rate: float, key: str = "corrected") -> Histogram:
        """All rounds together."""
        return merged(histogram(run, key) for run in self.of("rate", workload, label) if run["rate"] == rate)

    def common_rates(self, workload: str) -> list[float]:
        return sorted({run["rate"] for run in self.of("rate", workload, valid=False)})

    def curve(self, workload: str, label: str) -> list[tuple[float, float, float]]:
        """(rate, p50, p99) of every probe and every round."""
        runs = [*self.of("rate", workload, label)]
        for search in self.of("search", workload, label):
            runs += [{**point, "workload": workload} for point in search["points"] if not point["void"]]
        points = [(run["rate"], histogram(run)) for run in runs]
        return sorted((rate, h.percentile(50), h.percentile(99)) for rate, h in points if len(h))

    def rows(self) -> list[Row]:
        base, *others = self.arms()
        return [
            self._row(workload, base, other, rate)
            for workload in self.workloads() for rate in self.common_rates(workload) for other in others
        ]  # fmt: skip

    def drifting(self) -> list[str]:
        """Cells whose figures grow or fall with the time: the machine was not the same throughout."""
        found = []
        for workload in self.workloads():
            for label in self.arms():
                values = [histogram(run).percentile(50) for run in self.of("rate", workload, label)]
                if abs(drift(values)) > 0.9 and len(values) > 4:
                    found.append(f"{workload}, {label}")
        return found

    def _row(self, workload: str, base: str, other: str, rate: float) -> Row:
        all_ours, all_theirs = (self.latencies(workload, name, rate) for name in (base, other))
        smaller = min(all_ours, all_theirs, key=len)
        percent = next((p for p in PERCENTS if smaller.supports(p)), 50)

        def latency(run: Run) -> float:
            return histogram(run).percentile(percent)

        ours, theirs, again = (self._by_round("rate", workload, name, rate) for name in (base, other, base + AGAIN))
        interval = _ratio(ours, theirs, latency)
        control = noise_floor(*_pairs(ours, again, latency))
        mine, found = self._searched(workload, base), self._searched(workload, other)
        peaks = [self._by_round("peak", workload, name) for name in (base, other, base + AGAIN)]
        peak = _ratio(peaks[0], peaks[1], lambda run: float(run["rate"]))
        peak_floor = noise_floor(*_pairs(peaks[0], peaks[2], lambda run: float(run["rate"])))
        pairs = len(_pairs(ours, theirs, latency)[0])
        words = verdict(interval, control, rounds=pairs, higher_is_better=False)
        peak_words = verdict(peak, peak_floor, rounds=min(map(len, peaks[:2])))
        if BY_ARM[other].asgi:
            words, peak_words = (text.replace("WSGI", "other").replace("ASGI", base) for text in (words, peak_words))
        return Row(
            workload=workload, title=BY_NAME[workload].title, other=other, rate=rate, percent=percent, n=len(smaller),
            ours=all_ours.percentile(percent), theirs=all_theirs.percentile(percent), latency=interval,
            cpu=_ratio(ours, theirs, cpu_per_request), floor=control,
            words=words,
            sustainable=(mine.get("sustainable", math.nan), found.get("sustainable", math.nan)),
            limited=(bool(mine.get("limited")), bool(found.get("limited"))), peak=peak,
            peak_words=peak_words, predicted="tie" if BY_ARM[other].asgi else self._predicted(workload),
        )  # fmt: skip

    def _searched(self, workload: str, label: str) -> Run:
        return next(iter(self.of("search", workload, label)), {})

    def _by_round(self, what: str, workload: str, label: str, rate: float | None = None) -> dict[int, Run]:
        runs = self.of(what, workload, label)
        return {run["round"]: run for run in runs if run["round"] and rate in (None, run["rate"])}

    def _predicted(self, workload: str) -> str:
        return str(self.about["predictions"][workload]["winner"])


def histogram(run: Run, key: str = "corrected") -> Histogram:
    """The kind of request that the workload is about."""
    return Histogram(run["result"][key].get(BY_NAME[run["workload"]].figure))


def cpu_per_request(run: Run) -> float:
    """Microseconds of app and nginx."""
    used: float = sum(run["cpu"].values())
    return 1e6 * used / max(1, int(run["sent"]))


def share_of_busiest(runs: Iterable[Run], workers: int) -> float:
    """The most loaded worker against the mean, over all runs; NaN where nginx sees one socket."""
    total: dict[str, int] = {}
    for run in runs:
        for worker, count in run["workers"].items():
            total[worker] = total.get(worker, 0) + count
    return max(total.values()) * workers / sum(total.values()) if len(total) > 1 else math.nan


def _pairs(
    a: dict[int, Run], b: dict[int, Run], figure: Callable[[Run], float]
) -> tuple[Sequence[float], Sequence[float]]:
    pairs = [(figure(a[number]), figure(b[number])) for number in sorted(a.keys() & b.keys())]
    kept = [(x, y) for x, y in pairs if not (math.isnan(x) or math.isnan(y))]
    return [x for x, _ in kept], [y for _, y in kept]


def _ratio(a: dict[int, Run], b: dict[int, Run], figure: Callable[[Run], float]) -> Interval:
    return paired_ratio(*_pairs(a, b, figure))
