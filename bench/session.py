"""Carries a plan out: starts each arm, measures, counts, and keeps every figure the moment that it is there."""

import math
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench import counters, dataset, generators, idle, machine, stack, verify
from bench.arms import BY_NAME, Arm
from bench.generators import Meter
from bench.openload import Result
from bench.plan import FLOOR_RATES, LONGEST, Mode, Step, Visit
from bench.results import Results
from bench.search import Probe, search
from bench.stack import Stack
from bench.workloads import BY_NAME as WORKLOADS
from bench.workloads import LOWEST, Workload

ENOUGH_REQUESTS = 40  # in one measured run; slow work is watched for longer, within bounds
LOG_LINES = 50  # that are kept of nginx's log once it is counted

Say = Callable[[str], None]


class Session:
    """One run of the benchmark, new or resumed."""

    def __init__(
        self, results: Results, mode: Mode, arms: Sequence[Arm], *, objective: float, workers: int, seed: int
    ) -> None:
        self.results = results
        self.mode = mode
        self.arms = arms
        self.objective = objective  # milliseconds for p99
        self.workers = workers
        self.seed = seed
        self.cpus = machine.split_cpus()
        self.environment: dict[str, str] = {}
        self.answers: dict[str, str] = {}
        self.failed: list[str] = []  # steps without a result; a resumed run tries them again

    def prepare(self, say: Say) -> None:
        """The generator's own floor, and whether all arms answer alike."""
        self.environment, self.answers = dataset.prepare(self.results.folder / "data")
        if not self.results.extra("floor"):
            say("generator against nginx alone")
            self.results.save_extra("floor", self._floor())
        if not self.results.extra("verified"):
            self.results.save_extra("verified", self._verify(say))

    def visit(self, visit: Visit, say: Say, done: Callable[[float], None]) -> None:
        """All steps of one start; those that are there already are left out."""
        steps = [step for step in visit.steps if not self.results.has(step.number)]
        done(sum(step.seconds for step in visit.steps) - sum(step.seconds for step in steps))
        if not steps:
            return
        logs, arm, begun = self.results.logs / visit.name, BY_NAME[visit.arm], time.monotonic()
        (logs / "nginx.log").unlink(missing_ok=True)  # of a visit that was interrupted: counted already
        taken: dict[int, dict[str, Any]] = {}
        up: Stack | None = None
        try:
            with stack.serving(
                arm, workers=self.workers, cpus=self.cpus, logs=logs, environment=self.environment
            ) as up:
                for step in steps:
                    say(f"{visit.label}: {step.workload.title}, {step.what}")
                    try:
                        taken[step.number] = self._measure(up, step, visit)
                    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
                        self.failed.append(f"{visit.label}, {step.workload.title}, {step.what}: {error}")
                    done(step.seconds)
        finally:
            planned = visit.seconds - sum(step.seconds for step in visit.steps if step not in steps)
            times = {"planned": planned, "took": time.monotonic() - begun}
            self._count(taken, logs, visit, up, times)

    def _measure(self, up: Stack, step: Step, visit: Visit) -> dict[str, Any]:
        meter = Meter(up, self.cpus)
        figures: dict[str, Any] = getattr(self, f"_{step.what}")(up, step)
        about = {
            "number": step.number, "what": step.what, "workload": step.workload.name, "arm": visit.arm,
            "label": visit.label, "round": visit.round, "fraction": step.fraction,
        }  # fmt: skip
        return {**about, **meter.read(), **figures}

    def _rate(self, up: Stack, step: Step) -> dict[str, Any]:
        work = step.workload
        if work.by_locust:
            return self._locust(up, work, work.rate)
        rate = work.rate or self.common_rate(work, step.fraction)
        with idle.waiting(up, work.waiting) as memory:
            found = self._open(up.port, step, rate, _long_enough(self.mode.measure, rate), self.mode.warmup)
        sent = found["result"]["sent"]
        return {"generator": "open load", "rate": rate, "sent": sent, "open": 0, "memory": memory, **found}

    def _check(self, up: Stack, step: Step) -> dict[str, Any]:
        """One cell by both generators, one after the other."""
        theirs = self._locust(up, step.workload, generators.LOCUST_RATE)
        ours = self._open(up.port, step, generators.LOCUST_RATE, self.mode.probe, self.mode.warmup)
        counts = {"sent": ours["result"]["sent"], "void": theirs["void"] or ours["void"]}
        return {**theirs, **counts, "ours": ours["result"]}

    def _peak(self, up: Stack, step: Step) -> dict[str, Any]:
        found = generators.peak(up, step.workload, seconds=self.mode.peak, number=step.number, cpus=self.cpus.generator)
        figures = {"rate": found.rate, "void": generators.no_peak(found)}
        return {"generator": "wrk", "sent": found.requests, "open": step.workload.peak_connections, **figures}

    def _search(self, up: Stack, step: Step) -> dict[str, Any]:
        """The peak of a closed load is where the search begins; each probe is a point of the curve."""
        points: list[dict[str, Any]] = []

        def probe(rate: float) -> Probe:
            found = self._open(up.port, step, rate, _long_enough(self.mode.probe, rate), self.mode.warmup)
            result = found["result"]
            figure = Result.from_dict(result).corrected.get(step.workload.figure)
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

    def _locust(self, up: Stack, workload: Workload, rate: float) -> dict[str, Any]:
        found = generators.locust(
            up, workload, rate=rate, seconds=self.mode.locust, folder=self.results.logs, cpus=self.cpus.generator
        )
        return {"generator": "locust", "rate": rate, "sent": None, "open": 0, **found}

    def _open(self, port: int, step: Step, rate: float, seconds: float, warmup: float) -> dict[str, Any]:
        result = generators.open_load(
            port, step.workload, rate=rate, seconds=seconds, warmup=warmup, number=step.number,
            cpus=self.cpus.generator, seed=self.seed, answers=self.answers,
        )  # fmt: skip
        return {"result": result.as_dict(), "void": generators.overloaded(result)}

    def common_rate(self, workload: Workload, fraction: float) -> float:
        """A part of what the weakest arm holds: the same rate for all arms.

        Of an arm of which no probe held, where the search began is taken: the probes may have failed by the generator.
        """
        searches = [one for one in self.results.all() if one["what"] == "search" and one["workload"] == workload.name]
        return max(LOWEST, fraction * min((one["sustainable"] or one["low"] for one in searches), default=LOWEST))

    def _count(
        self, taken: dict[int, dict[str, Any]], logs: Path, visit: Visit, up: Stack | None, times: dict[str, float]
    ) -> None:
        """Compare what the client, nginx and the app have counted, and keep the steps."""
        log = logs / "nginx.log"
        seen, passed = counters.nginx_counts(log) if log.exists() else ({}, 0)
        for number, figures in taken.items():
            of_run = seen.get(number, counters.Seen())
            figures["nginx"] = of_run.requests
            figures["workers"] = dict(of_run.workers)
            if figures["sent"] is not None:
                problem = counters.mismatch(figures["sent"], of_run.requests, open_at_end=figures["open"])
                figures["void"] = figures["void"] or problem
            self.results.save(number, figures)
        visits = self.results.extra("visits")
        left_open = sum(figures["open"] for figures in taken.values())
        visits[visit.name] = {"nginx": passed, "app": up.counted if up else None, "open": left_open, **times}
        self.results.save_extra("visits", visits)
        if log.exists():
            log.write_text("".join(log.read_text(errors="replace").splitlines(keepends=True)[-LOG_LINES:]))

    def _floor(self) -> dict[str, Any]:
        points = []
        with stack.floor(self.cpus, self.results.logs) as port:
            for rate in FLOOR_RATES:
                result = generators.open_load(
                    port, WORKLOADS["plaintext"], rate=rate, seconds=self.mode.probe, warmup=self.mode.warmup, number=0,
                    cpus=self.cpus.generator, seed=self.seed, answers={},
                )  # fmt: skip
                points.append({"rate": rate, "result": result.as_dict(), "void": generators.overloaded(result)})
        return {"points": points}

    def _verify(self, say: Say) -> dict[str, Any]:
        found: dict[str, Any] = {}
        reference, *others = self.arms
        with self._up(reference, "reference") as one:
            for arm in others:
                say(f"{arm.name} against {reference.name}, byte for byte")
                with self._up(arm, arm.name) as other:
                    found[arm.name] = verify.differences(one.port, other.port, self.seed)
        return found

    def _up(self, arm: Arm, name: str) -> Any:
        logs = self.results.logs / f"verify-{name}"
        return stack.serving(arm, workers=self.workers, cpus=self.cpus, logs=logs, environment=self.environment)


def _long_enough(seconds: float, rate: float) -> float:
    return min(max(seconds, ENOUGH_REQUESTS / rate), LONGEST * seconds)
