"""Executes a plan: starts each arm, measures, compares the counts and saves each result immediately."""

import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.figures import agreement, verify
from bench.figures.results import Results
from bench.run import counters, dataset, machine, stack
from bench.run.arms import BY_NAME, Arm
from bench.run.plan import START_SECONDS, Mode, Visit
from bench.run.stack import RunningArm
from bench.run.steps import StepRunner

LOG_LINES = 50  # kept of nginx's log after counting

Say = Callable[[str], None]


class Runner:
    """One benchmark run, new or resumed."""

    def __init__(
        self, results: Results, mode: Mode, arms: Sequence[Arm], *, objective: float, workers: int, seed: int
    ) -> None:
        self.results = results
        self.arms = arms
        self.workers = workers
        self.seed = seed
        self.cpus = machine.split_cpus()
        self.steps = StepRunner(results, mode, self.cpus, objective=objective, seed=seed)
        self.environment: dict[str, str] = {}
        self.failed: list[str] = []  # steps without a result; a resumed run repeats them

    def remaining(self, visits: Sequence[Visit]) -> list[Visit]:
        """The visits and steps that have no result yet."""
        rest = (
            replace(visit, steps=[step for step in visit.steps if not self.results.has(step.number)])
            for visit in visits
        )
        return [visit for visit in rest if visit.steps]

    def prepare(self, say: Say) -> None:
        """Create the database, measure the generator's floor and compare the responses of all arms."""
        self.environment, self.steps.answers = dataset.prepare(self.results.folder / "data")
        if not self.results.extra("floor"):
            say("generator against nginx alone")
            self.results.save_extra("floor", self.steps.floor())
        if not self.results.extra("verified"):
            self.results.save_extra("verified", self._verify(say))

    def visit(self, visit: Visit, say: Say, done: Callable[[float], None]) -> None:
        """Run all steps of one visit; after a failure or interruption the finished steps are kept."""
        logs, begun = self.results.logs / visit.name, time.monotonic()
        (logs / "nginx.log").unlink(missing_ok=True)  # from an interrupted visit: counted already
        measured: dict[int, dict[str, Any]] = {}
        up: RunningArm | None = None
        try:
            with self._up(BY_NAME[visit.arm], visit.name) as up:
                for step in visit.steps:
                    say(f"{visit.label}: {step.workload.title}, {step.what}")
                    try:
                        measured[step.number] = self.steps.measure(up, step, visit)
                    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
                        self.failed.append(f"{visit.label}, {step.workload.title}, {step.what}: {error}")
                    done(step.seconds)
        finally:
            passed = self._save(measured, logs / "nginx.log")
            self._save_visit(visit.name, {
                "nginx": passed.requests, "unanswered": passed.unanswered, "app": up.counted if up else None,
                "planned": visit.seconds, "took": time.monotonic() - begun,
            })  # fmt: skip
        done(START_SECONDS)

    def _save(self, measured: dict[int, dict[str, Any]], log: Path) -> counters.Proxied:
        """Compare the counts of client and nginx and save the steps; return the requests that nginx passed on."""
        seen, passed = counters.nginx_counts(log)
        for number, figures in measured.items():
            of_run = seen.get(number, counters.LoggedRun())
            figures |= {"nginx": of_run.requests, "nginx_seconds": of_run.seconds, "workers": dict(of_run.workers)}
            if figures["sent"] is not None:
                problem = agreement.mismatch(figures["sent"], of_run.requests, open_at_end=figures["open"])
                figures["void"] = figures["void"] or problem
            self.results.save(number, figures)
        if log.exists():
            log.write_text("".join(log.read_text(errors="replace").splitlines(keepends=True)[-LOG_LINES:]))
        return passed

    def _save_visit(self, name: str, about: dict[str, Any]) -> None:
        visits = self.results.extra("visits")
        self.results.save_extra("visits", {**visits, name: about})

    def _verify(self, say: Say) -> dict[str, Any]:
        found: dict[str, Any] = {}
        reference, *others = self.arms
        with self._up(reference, "verify-reference") as one:
            for arm in others:
                say(f"{arm.name} against {reference.name}, byte for byte")
                with self._up(arm, f"verify-{arm.name}") as other:
                    found[arm.name] = verify.differences(one.port, other.port, self.seed)
        return found

    def _up(self, arm: Arm, name: str) -> AbstractContextManager[RunningArm]:
        logs = self.results.logs / name
        return stack.serving(arm, workers=self.workers, cpus=self.cpus, logs=logs, environment=self.environment)
