"""Carries a plan out: starts each arm, measures, counts, and keeps every figure the moment that it is there."""

import math
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench import counters, dataset, generators, idle, machine, stack, verify
from bench.arms import BY_NAME, Arm
from bench.generators import Meter
from bench.openload import Result
from bench.plan import Mode, Step, Visit
from bench.results import Results
from bench.search import Probe, search
from bench.stack import Stack
from bench.workloads import BY_NAME as WORKLOADS
from bench.workloads import IDLE, LOWEST, Workload

FLOOR_RATES = (100, 1_000, 4_000, 10_000, 16_000)  # requests per second
ENOUGH_REQUESTS = 40  # in one measured run; slow work is watched for longer, within bounds
LOG_LINES = 50  # that are kept of nginx's log once it is counted
LONGEST = 2.5  # times the mode's own length

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
        logs = self.results.logs / visit.name
        arm = BY_NAME[visit.arm]
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
            self._count(taken, logs, visit, up)

    def _measure(self, up: Stack, step: Step, visit: Visit) -> dict[str, Any]:
        meter = Meter(up)
        figures: dict[str, Any] = getattr(self, f"_{step.what}")(up, step)
        about = {
            "number": step.number, "what": step.what, "workload": step.workload.name, "arm": visit.arm,
            "label": visit.label, "round": visit.round, "fraction": step.fraction,
        }  # fmt: skip
        return {**about, **meter.read(), **figures}

    def _rate(self, up: Stack, step: Step) -> dict[str, Any]:
        rate = self.common_rate(step.workload, step.fraction)
        seconds = _long_enough(self.mode.measure, rate)
        found = self._open(up.port, step, rate, seconds, self.mode.warmup)
        return {"generator": "open load", "rate": rate, "sent": found["result"]["sent"], "open": 0, **found}

    def _peak(self, up: Stack, step: Step) -> dict[str, Any]:
        found = generators.peak(up, step.workload, seconds=self.mode.peak, number=step.number, cpus=self.cpus.generator)
        figures = {"rate": found.rate, "errors": found.errors, "mean": found.mean, "p50": found.p50, "p99": found.p99}
        open_at_end = step.workload.peak_connections
        return {"generator": "wrk", "sent": found.requests, "open": open_at_end, "void": None, **figures}

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
        objective = self.objective + step.workload.own
        found = search(probe, low=max(high / 20, 1.0), high=high, objective=objective, probes=self.mode.probes)
        sent = first.requests + sum(point["result"]["sent"] for point in points)
        return {
            "generator": "open load", "peak": first.rate, "sustainable": found.rate, "limited": found.limited,
            "points": points, "sent": sent, "open": step.workload.peak_connections, "void": None,
        }  # fmt: skip

    def _idle(self, up: Stack, step: Step) -> dict[str, Any]:
        """Memory of waiting connections, and the latency of others beside them."""
        before = idle.kib(up.worker_pids())
        opened = idle.websockets if up.arm.asgi else idle.keepalives
        with opened(up.port, IDLE):
            after = idle.kib(up.worker_pids())
            found = self._open(up.port, step, 100.0, 1.0, 0.2)
        kind = "websocket" if up.arm.asgi else "keep-alive connection"
        figures = {"kind": kind, "connections": IDLE, "kib": (after - before) / IDLE, "idle_kib": before}
        return {"generator": "open load", "rate": 100.0, "sent": found["result"]["sent"], "open": 0, **figures, **found}

    def _locust(self, up: Stack, step: Step) -> dict[str, Any]:
        found = generators.locust(
            up, step.workload, seconds=self.mode.sockets, folder=self.results.logs, cpus=self.cpus.generator
        )
        void = None if found["exit"] == 0 else f"locust ended with {found['exit']}"
        return {"generator": "locust", "sent": None, "open": 0, "void": void, "locust": found}

    def _open(self, port: int, step: Step, rate: float, seconds: float, warmup: float) -> dict[str, Any]:
        result = generators.open_load(
            port, step.workload, rate=rate, seconds=seconds, warmup=warmup, number=step.number,
            cpus=self.cpus.generator, seed=self.seed, answers=self.answers,
        )  # fmt: skip
        return {"result": result.as_dict(), "void": generators.overloaded(result)}

    def common_rate(self, workload: Workload, fraction: float) -> float:
        """A part of what the weakest arm holds: the same rate for all arms."""
        rates = [
            one["sustainable"]
            for one in self.results.all()
            if one["what"] == "search" and one["workload"] == workload.name
        ]
        return max(LOWEST, fraction * min(rates, default=LOWEST))

    def _count(self, taken: dict[int, dict[str, Any]], logs: Path, visit: Visit, up: Stack | None) -> None:
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
        visits[visit.name] = {"nginx": passed, "app": up.counted if up else None}
        self.results.save_extra("visits", visits)
        if log.exists():
            log.write_text("".join(log.read_text(errors="replace").splitlines(keepends=True)[-LOG_LINES:]))

    def _floor(self) -> dict[str, Any]:
        points = []
        with stack.floor(self.cpus, self.results.logs) as port:
            for rate in FLOOR_RATES if self.mode.sockets else FLOOR_RATES[1:4]:
                result = generators.open_load(
                    port, WORKLOADS["plaintext"], rate=rate, seconds=1.0, warmup=0.2, number=0,
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
