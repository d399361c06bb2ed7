"""`python -m bench.layers`: the table of layers. QUICK=1: an estimate, FULL=1: to quote, ONLY=toolkit: our cases."""

import json
import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from urllib.request import Request, urlopen

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from bench.figures.results import HOME, now
from bench.layers.cases import AGAIN, BASE, GOALS, REQUESTS, TOOLKIT, Case, cases
from bench.layers.edge import SHIPPED, VARIANTS, edges
from bench.layers.measure import Measurement, measure
from bench.layers.results_table import CaseResult, case_results, table
from bench.layers.targets import Target, proxied, started
from bench.load.wrk import RequestTemplate
from bench.report import terminal
from bench.run import about, machine

WARMUP_SECONDS = 1
# Short, so that a case and its base run under the same load from other tenants, which changes over seconds.
WINDOW_SECONDS = 0.3
TITLES = {
    "nginx": "nginx and one worker on one processor",
    "edge": "nginx's own time, as it is shipped and without one part",
}
NGINX_APP = "bench.layers.apps.bare:get_user"


class Layers:
    """Measures all cases of a table in turn, rotating the order each round."""

    def __init__(self, rounds: int, progress: Progress, total: float) -> None:
        self.rounds = rounds
        self.cpus = machine.split_cpus()
        self.progress = progress
        self.task = progress.add_task("", total=total)

    def measure(self, request: RequestTemplate, targets: Mapping[str, Target]) -> dict[str, list[Measurement]]:
        """Load one running target at a time; all others are idle."""
        measured: dict[str, list[Measurement]] = {name: [] for name in targets}
        names = list(targets)
        for name in names:
            self._one(request, name, targets[name], WARMUP_SECONDS)
        for number in range(self.rounds):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                measured[name].append(self._one(request, name, targets[name], WINDOW_SECONDS))
        return measured

    def _one(self, request: RequestTemplate, name: str, target: Target, seconds: float) -> Measurement:
        self.progress.update(self.task, description=f"{request.method} {request.path}: {name}")
        found = measure(target.origin, request, target.processes, seconds=seconds, cpus=self.cpus)
        self.progress.advance(self.task, seconds)
        return found


def main() -> None:
    """Measure, print and save the figures."""
    rounds = 12 if os.environ.get("QUICK") else 150 if os.environ.get("FULL") else 40
    ours = os.environ.get("ONLY") == "toolkit"
    tables = {request: _cases(request, ours) for request in REQUESTS}
    count = sum(len(found) for found in tables.values()) + 5 + len(VARIANTS)
    folder = HOME / f"{now()}-layers"
    console = terminal.console()
    found: dict[str, list[CaseResult]] = {}
    with Progress(BarColumn(), TextColumn("{task.percentage:3.0f} %"), TimeRemainingColumn(),
                  TextColumn("{task.description}"), console=console) as progress:  # fmt: skip
        layers = Layers(rounds, progress, count * (rounds * WINDOW_SECONDS + WARMUP_SECONDS))
        for request, those in tables.items():
            found[request] = _measure_cases(layers, request, those, folder / "logs")
        with proxied(NGINX_APP, layers.cpus, folder / "logs") as targets:
            measured = layers.measure(REQUESTS["GET /api/users/2"][0], targets)
        found["nginx"] = case_results(measured, "direct", GOALS["nginx"])
        with edges(NGINX_APP, layers.cpus, folder / "logs") as targets:
            measured = layers.measure(REQUESTS["GET /api/users/2"][0], targets)
        found["edge"] = case_results(measured, SHIPPED, {})
    for title, results in found.items():
        console.print(table(TITLES.get(title, title), results))
    _save(folder, found)
    console.print(f"CPU time of the server per request against the base case of the same round; saved in {folder}")
    sys.exit(1 if any(result.errors for results in found.values() for result in results) else 0)


def _cases(request: str, ours: bool) -> list[Case]:
    wanted = cases(request, plain=bool(os.environ.get("FULL")))
    return [case for case in wanted if not ours or case in TOOLKIT or case.name in (BASE, AGAIN)]


def _measure_cases(layers: Layers, request: str, those: list[Case], logs: Path) -> list[CaseResult]:
    with ExitStack() as stack:
        targets = {case.name: stack.enter_context(started(case, layers.cpus, logs)) for case in those}
        for case in those:
            check(targets[case.name], REQUESTS[request][0], targets[BASE])
        measured = layers.measure(REQUESTS[request][0], targets)
    return case_results(measured, BASE, GOALS[request])


def check(target: Target, request: RequestTemplate, base: Target) -> None:
    """Exit unless the app returns the same JSON as the base case."""
    (status, body), (wanted, expected) = (_answer(one.origin, request) for one in (target, base))
    if status != wanted or json.loads(body) != json.loads(expected):
        sys.exit(f"{target.processes[0].name} answers {request.method} {request.path} with {status} {body[:200]!r}")


def _answer(origin: str, request: RequestTemplate) -> tuple[int, bytes]:
    body = request.body.encode() or None
    headers = {"Content-Type": request.content_type} if body else {}
    with urlopen(Request(origin + request.path, body, headers, method=request.method), timeout=10) as response:
        return response.status, response.read()


def _save(folder: Path, found: Mapping[str, list[CaseResult]]) -> None:
    facts = {"machine": machine.describe(), "versions": about.versions()}
    data = {**facts, "tables": {title: [asdict(result) for result in results] for title, results in found.items()}}
    (folder / "layers.json").write_text(json.dumps(data, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
