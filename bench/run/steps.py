"""The measurements on a running arm: one method for each kind of step, named as in the plan."""

import math
import time
from typing import Any

from bench.figures.results import Results
from bench.load import idle
from bench.load.job import LoadResult
from bench.run import generators, machine
from bench.run.floor import floor
from bench.run.generators import Meter
from bench.run.plan import FLOOR_RATES, LONGEST, Mode, Step, Visit
from bench.run.search import Probe, search
from bench.run.stack import RunningArm
from bench.run.workloads import BY_NAME, IDLE, LOWEST, Workload

SETTLE_SECONDS = 1.0  # after a start, before the CPU time of an idle arm is measured
ENOUGH_REQUESTS = 40  # in one measurement; slow workloads are measured for longer, up to LONGEST


class StepRunner:
    """Runs the steps. The results of the searches give the common rate of all arms."""

    def __init__(self, results: Results, mode: Mode, cpus: machine.Cpus, *, objective: float, seed: int) -> None:
        self.results = results
        self.mode = mode
        self.cpus = cpus
        self.objective = objective  # milliseconds for p99
        self.seed = seed
        self.answers: dict[str, str] = {}

    def measure(self, up: RunningArm, step: Step, visit: Visit) -> dict[str, Any]:
        """Run one step and measure its CPU time."""
        meter = Meter(up, self.cpus)
        figures: dict[str, Any] = getattr(self, step.what)(up, step)
        about = {
            "number": step.number, "what": step.what, "workload": step.workload.name, "arm": visit.arm,
            "label": visit.label, "round": visit.round, "fraction": step.fraction,
        }  # fmt: skip
        return {**about, **meter.read(), **figures}

    def rate(self, up: RunningArm, step: Step) -> dict[str, Any]:
        """Latencies at the common rate of all arms."""
        work = step.workload
        if work.by_locust:
            return self._locust(up, work, work.rate)
        rate = work.rate or self.common_rate(work, step.fraction)
        with idle.waiting(up.port, work.waiting, IDLE, up.workers_kib) as memory:
            found = self._open(up.port, step, rate, _long_enough(self.mode.measure, rate))
        sent = found["result"]["sent"]
        return {"generator": "open load", "rate": rate, "sent": sent, "open": 0, "memory": memory, **found}

    def check(self, up: RunningArm, step: Step) -> dict[str, Any]:
        """Measure one workload with both generators, one after the other."""
        by_locust = self._locust(up, step.workload, generators.LOCUST_RATE)
        by_ours = self._open(up.port, step, generators.LOCUST_RATE, self.mode.probe)
        counts = {"sent": by_ours["result"]["sent"], "void": by_locust["void"] or by_ours["void"]}
        return {**by_locust, **counts, "ours": by_ours["result"]}

    def peak(self, up: RunningArm, step: Step) -> dict[str, Any]:
        """The throughput of a closed load."""
        found = generators.peak(up, step.workload, seconds=self.mode.peak, number=step.number, cpus=self.cpus.generator)
        figures = {"rate": found.rate, "void": generators.no_peak(found), "seconds": found.seconds}
        return {"generator": "wrk", "sent": found.requests, "open": step.workload.peak_connections, **figures}

    def quiet(self, up: RunningArm, step: Step) -> dict[str, Any]:
        """CPU time of an idle or nearly idle arm, as a share of one processor."""
        time.sleep(SETTLE_SECONDS)
        pids = [pid for process in (up.app, up.proxy) for pid in machine.tree(process.pid)]
        used, begun = machine.cpu_seconds(pids), time.monotonic()
        sent = None
        if step.rate:
            found = self._open(up.port, step, step.rate, self.mode.quiet)
            sent = found["result"]["sent"]
        else:
            time.sleep(self.mode.quiet)
        share = (machine.cpu_seconds(pids) - used) / (time.monotonic() - begun)
        return {"generator": "open load", "rate": step.rate, "share": share, "sent": sent, "open": 0, "void": None}

    def search(self, up: RunningArm, step: Step) -> dict[str, Any]:
        """Search the sustainable rate, first at 90 % of a closed load's peak; each probe is a point of the curve."""
        points: list[dict[str, Any]] = []

        def probe(rate: float) -> Probe:
            found = self._open(up.port, step, rate, _long_enough(self.mode.probe, rate))
            result = found["result"]
            figure = LoadResult.from_dict(result).corrected.get(step.workload.figure)
            p99 = figure.percentile(99) if figure else math.inf
            errors = sum(result["failures"].values())
            points.append({"rate": rate, **found})
            return Probe(rate, result["completed"] / max(1, result["offered"]), p99, errors, found["void"] is None)

        first = generators.peak(up, step.workload, seconds=self.mode.peak, number=step.number, cpus=self.cpus.generator)
        high = max(min(first.rate * 0.9, step.workload.most), LOWEST)
        low, objective = max(high / 20, 1.0), self.objective + step.workload.own
        found = search(probe, low=low, high=high, objective=objective, probes=self.mode.probes)
        sent = first.requests + sum(point["result"]["sent"] for point in points)
        return {
            "generator": "open load", "low": low, "sustainable": found.rate, "limited": found.limited, "points": points,
            "sent": sent, "open": step.workload.peak_connections, "void": None,
        }  # fmt: skip

    def floor(self) -> dict[str, Any]:
        """Measure the generator against nginx alone."""
        points = []
        with floor(self.cpus, self.results.logs) as port:
            for rate in FLOOR_RATES:
                step = Step(0, "floor", BY_NAME["plaintext"])
                points.append({"rate": rate, **self._open(port, step, rate, self.mode.probe)})
        return {"points": points}

    def common_rate(self, workload: Workload, fraction: float) -> float:
        """A fraction of the weakest arm's sustainable rate, the same for all arms.

        An arm without a sustained probe counts with its search's lower bound, since the generator may have made its
        probes fail.
        """
        searches = [one for one in self.results.all() if one["what"] == "search" and one["workload"] == workload.name]
        return max(LOWEST, fraction * min((one["sustainable"] or one["low"] for one in searches), default=LOWEST))

    def _locust(self, up: RunningArm, workload: Workload, rate: float) -> dict[str, Any]:
        found = generators.locust(
            up, workload, rate=rate, seconds=self.mode.locust, folder=self.results.logs, cpus=self.cpus.generator
        )
        return {"generator": "locust", "rate": rate, "sent": None, "open": 0, **found}

    def _open(self, port: int, step: Step, rate: float, seconds: float) -> dict[str, Any]:
        result = generators.open_load(
            port, step.workload, rate=rate, seconds=seconds, warmup=self.mode.warmup, number=step.number,
            cpus=self.cpus.generator, seed=self.seed, answers=self.answers,
        )  # fmt: skip
        return {"result": result.as_dict(), "void": generators.overloaded(result)}


def _long_enough(seconds: float, rate: float) -> float:
    return min(max(seconds, ENOUGH_REQUESTS / rate), LONGEST * seconds)
