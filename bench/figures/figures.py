"""The runs of a results folder, sorted. Void ones are left out of every figure, and counted."""

import math
from itertools import product
from typing import Any

from bench.figures.histogram import Histogram, merged
from bench.figures.results import Results
from bench.figures.stats import DRIFT, LEAST_FOR_DRIFT, drift
from bench.run.plan import AGAIN
from bench.run.workloads import BY_NAME

Run = dict[str, Any]


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

    def by_round(self, what: str, workload: str, label: str, rate: float | None = None) -> dict[int, Run]:
        """The valid runs of all rounds, at one rate if it is given."""
        runs = self.of(what, workload, label)
        return {run["round"]: run for run in runs if run["round"] and rate in (None, run["rate"])}

    def workloads(self) -> list[str]:
        """Those that were measured, in the order of the list."""
        found = {run["workload"] for run in self.runs if run["what"] in ("search", "rate")}
        return [name for name in BY_NAME if name in found]

    def searched(self) -> list[str]:
        """Those of which a curve over the rate is known."""
        return [name for name in self.workloads() if self.of("search", name, valid=False)]

    def arms(self) -> list[str]:
        return [str(name) for name in self.about["arms"]]

    def labels(self) -> list[str]:
        """The arms, and the first one's control."""
        base, *others = self.arms()
        return [base, base + AGAIN, *others]

    def common_rates(self, workload: str) -> list[float]:
        return sorted({run["rate"] for run in self.of("rate", workload, valid=False)})

    def latencies(self, workload: str, label: str, rate: float, key: str = "corrected") -> Histogram:
        """All rounds together."""
        return merged(histogram(run, key) for run in self.of("rate", workload, label) if run["rate"] == rate)

    def curve(self, workload: str, label: str) -> list[tuple[float, float, float]]:
        """(rate, p50, p99) of every probe and every round."""
        runs = [*self.of("rate", workload, label)]
        for search in self.of("search", workload, label):
            runs += [{**point, "workload": workload} for point in search["points"] if not point["void"]]
        points = [(run["rate"], histogram(run)) for run in runs]
        return sorted((rate, h.percentile(50), h.percentile(99)) for rate, h in points if len(h))

    def ceiling(self) -> list[tuple[float, float]]:
        """(rate, p99) of the generator against nginx alone, as far as it kept up."""
        points = [point for point in self.floor.get("points", []) if not point["void"]]
        return [(p["rate"], Histogram(p["result"]["corrected"].get("plaintext")).percentile(99)) for p in points]

    def drifting(self) -> list[str]:
        """Cells whose figures grow or fall with the time: the machine was not the same throughout."""
        found = []
        for workload, label in product(self.workloads(), self.labels()):
            for rate in self.common_rates(workload):
                runs = self.by_round("rate", workload, label, rate)
                values = [histogram(runs[number]).percentile(50) for number in sorted(runs)]
                if len(values) >= LEAST_FOR_DRIFT and abs(drift(values)) >= DRIFT:
                    found.append(f"{workload}, {label}, {rate:.0f}/s")
        return found


def histogram(run: Run, key: str = "corrected") -> Histogram:
    """The kind of request that the workload is about."""
    return Histogram(run["result"][key].get(BY_NAME[run["workload"]].figure))


def cpu_per_request(run: Run) -> float:
    """Microseconds of app and nginx; NaN where the requests were not counted."""
    used: float = sum(run["cpu"].values())
    return 1e6 * used / run["sent"] if run["sent"] else math.nan
