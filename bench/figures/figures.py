"""The runs of a results folder, by workload, arm and rate. Figures leave out void runs, which are counted."""

import math
from collections.abc import Collection, Mapping
from itertools import product
from typing import Any, Protocol

from bench.figures.histogram import Histogram, merged
from bench.figures.results import AGAIN, Results
from bench.figures.stats import DRIFT, LEAST_FOR_DRIFT, drift

Run = dict[str, Any]


class WorkloadNames(Protocol):
    """The names of a workload that the figures need."""

    @property
    def title(self) -> str: ...
    @property
    def figure(self) -> str:
        """The kind of request whose latency is compared."""

    @property
    def locust_figure(self) -> str:
        """The same kind as named by locust."""


class Figures:
    """All runs of one folder; `workloads` gives their order, `asgi_arms` names the ASGI servers."""

    def __init__(self, results: Results, workloads: Mapping[str, WorkloadNames], asgi_arms: Collection[str]) -> None:
        self.names = workloads
        self.asgi_arms = asgi_arms
        self.about = results.about
        self.floor = results.extra("floor")
        self.verified = results.extra("verified")
        self.visits = results.extra("visits")
        self.runs = [self._named(run, run["workload"]) for run in results.all()]
        self.void = [run for run in self.runs if run["void"]]

    def _named(self, run: Run, workload: str) -> Run:
        return {**run, "workload": workload, "figure": self.names[workload].figure}

    def of(self, what: str, workload: str = "", label: str = "", *, valid: bool = True) -> list[Run]:
        return [
            run for run in self.runs
            if run["what"] == what and workload in ("", run["workload"]) and label in ("", run["label"])
            and not (valid and run["void"])
        ]  # fmt: skip

    def by_round(self, what: str, workload: str, label: str, rate: float | None = None) -> dict[int, Run]:
        """The valid runs by round, at `rate` if given."""
        runs = self.of(what, workload, label)
        return {run["round"]: run for run in runs if run["round"] and rate in (None, run["rate"])}

    def workloads(self) -> list[str]:
        """The measured workloads, in their given order."""
        found = {run["workload"] for run in self.runs if run["what"] in ("search", "rate")}
        return [name for name in self.names if name in found]

    def searched(self) -> list[str]:
        """The workloads that have a curve of latency over rate."""
        return [name for name in self.workloads() if self.of("search", name, valid=False)]

    def arms(self) -> list[str]:
        return [str(name) for name in self.about["arms"]]

    def labels(self) -> list[str]:
        """The arms and the control of the first."""
        base, *others = self.arms()
        return [base, base + AGAIN, *others]

    def common_rates(self, workload: str) -> list[float]:
        return sorted({run["rate"] for run in self.of("rate", workload, valid=False)})

    def latencies(self, workload: str, label: str, rate: float, key: str = "corrected") -> Histogram:
        """The merged latencies of all rounds."""
        return merged(histogram(run, key) for run in self.of("rate", workload, label) if run["rate"] == rate)

    def curve(self, workload: str, label: str) -> list[tuple[float, float, float]]:
        """(rate, p50, p99) of every probe and every round."""
        runs = [*self.of("rate", workload, label)]
        for search in self.of("search", workload, label):
            runs += [self._named(point, workload) for point in search["points"] if not point["void"]]
        points = [(run["rate"], histogram(run)) for run in runs]
        return sorted((rate, h.percentile(50), h.percentile(99)) for rate, h in points if len(h))

    def ceiling(self) -> list[tuple[float, float]]:
        """(rate, p99) of the generator against nginx alone, at the rates that it sustained."""
        points = [point for point in self.floor.get("points", []) if not point["void"]]
        return [(p["rate"], Histogram(p["result"]["corrected"].get("plaintext")).percentile(99)) for p in points]

    def drifting(self) -> list[str]:
        """Workload, arm and rate whose median rises or falls with time: conditions changed during the run."""
        found = []
        for workload, label in product(self.workloads(), self.labels()):
            for rate in self.common_rates(workload):
                runs = self.by_round("rate", workload, label, rate)
                values = [histogram(runs[number]).percentile(50) for number in sorted(runs)]
                if len(values) >= LEAST_FOR_DRIFT and abs(drift(values)) >= DRIFT:
                    found.append(f"{workload}, {label}, {rate:.0f}/s")
        return found


def histogram(run: Run, key: str = "corrected") -> Histogram:
    """The latencies of the kind of request that the workload compares."""
    return Histogram(run["result"][key].get(run["figure"]))


def cpu_per_request(run: Run) -> float:
    """CPU time of app and nginx in microseconds; NaN where requests were not counted."""
    used: float = sum(run["cpu"].values())
    return 1e6 * used / run["sent"] if run["sent"] else math.nan
