"""`python -m bench.layers`: the table of layers. QUICK=1 for a look, FULL=1 to quote, ONLY=toolkit for our rows."""

import json
import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from urllib.request import Request, urlopen

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from bench.figures.results import HOME
from bench.layers.cases import AGAIN, BASE, CALLS, GOALS, TOOLKIT, Row, rows
from bench.layers.measure import Weighed, weigh
from bench.layers.table import Line, lines, table
from bench.layers.targets import Server, app, proxied
from bench.load.wrk import Call
from bench.report import terminal
from bench.run import about, machine
from bench.run.stack import now

WARMUP_SECONDS = 1
WINDOW_SECONDS = 0.3  # short, so that a row and its base meet the same neighbours: a spell of theirs takes seconds
NGINX_APP = "bench.layers.apps.bare:get_user"


class Layers:
    """Weighs all rows of a table in turn, the order rotated each round."""

    def __init__(self, rounds: int, progress: Progress, total: float) -> None:
        self.rounds = rounds
        self.cpus = machine.split_cpus()
        self.progress = progress
        self.task = progress.add_task("", total=total)

    def weigh(self, call: Call, servers: Mapping[str, Server]) -> dict[str, list[Weighed]]:
        """All servers are up and idle; one at a time is under load."""
        weighed: dict[str, list[Weighed]] = {name: [] for name in servers}
        names = list(servers)
        for name in names:
            self._one(call, name, servers[name], WARMUP_SECONDS)
        for number in range(self.rounds):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                weighed[name].append(self._one(call, name, servers[name], WINDOW_SECONDS))
        return weighed

    def _one(self, call: Call, name: str, server: Server, seconds: float) -> Weighed:
        self.progress.update(self.task, description=f"{call.method} {call.path}: {name}")
        found = weigh(server.origin, call, server.processes, seconds=seconds, cpus=self.cpus)
        self.progress.advance(self.task, seconds)
        return found


def main() -> None:
    """Measure, print, and keep the figures."""
    rounds = 12 if os.environ.get("QUICK") else 150 if os.environ.get("FULL") else 40
    ours = os.environ.get("ONLY") == "toolkit"
    tables = {call: _rows(call, ours) for call in CALLS}
    count = sum(len(found) for found in tables.values()) + 5
    folder = HOME / f"{now()}-layers"
    console = terminal.console()
    found: dict[str, list[Line]] = {}
    with Progress(BarColumn(), TextColumn("{task.percentage:3.0f} %"), TimeRemainingColumn(),
                  TextColumn("{task.description}"), console=console) as progress:  # fmt: skip
        layers = Layers(rounds, progress, count * (rounds * WINDOW_SECONDS + WARMUP_SECONDS))
        for call, measured in tables.items():
            found[call] = _call(layers, call, measured, folder / "logs")
        with proxied(NGINX_APP, layers.cpus, folder / "logs") as ways:
            weighed = layers.weigh(CALLS["GET /api/users/2"][0], ways)
        found["nginx"] = lines(weighed, "direct", GOALS["nginx"])
    for title, those in found.items():
        console.print(table("nginx and one worker on one processor" if title == "nginx" else title, those))
    _keep(folder, found)
    console.print(f"CPU time of the server per request against the base row of the same round; kept in {folder}")
    sys.exit(1 if any(line.errors for those in found.values() for line in those) else 0)


def _rows(call: str, ours: bool) -> list[Row]:
    wanted = rows(call, plain=bool(os.environ.get("FULL")))
    return [row for row in wanted if not ours or row in TOOLKIT or row.name in (BASE, AGAIN)]


def _call(layers: Layers, call: str, measured: list[Row], logs: Path) -> list[Line]:
    with ExitStack() as stack:
        apps = {name: stack.enter_context(app(name, layers.cpus, logs)) for name in {row.app for row in measured}}
        for row in measured:
            check(apps[row.app], CALLS[call][0], apps[measured[0].app])
        weighed = layers.weigh(CALLS[call][0], {row.name: apps[row.app] for row in measured})
    for log in logs.glob("*recorded.log"):
        log.unlink()  # the access record: millions of lines
    return lines(weighed, BASE, GOALS[call])


def check(server: Server, call: Call, base: Server) -> None:
    """Every app answers what the base row's fixed bytes say, or nothing is weighed."""
    (status, body), (wanted, expected) = (_answer(one.origin, call) for one in (server, base))
    if status != wanted or json.loads(body) != json.loads(expected):
        sys.exit(f"{server.processes[0].name} answers {call.method} {call.path} with {status} {body[:200]!r}")


def _answer(origin: str, call: Call) -> tuple[int, bytes]:
    body = call.body.encode() or None
    request = Request(origin + call.path, body, {"Content-Type": call.content_type} if body else {}, method=call.method)
    with urlopen(request, timeout=10) as response:
        return response.status, response.read()


def _keep(folder: Path, found: Mapping[str, list[Line]]) -> None:
    facts = {"machine": machine.describe(), "versions": about.versions()}
    data = {**facts, "tables": {title: [asdict(line) for line in those] for title, those in found.items()}}
    (folder / "layers.json").write_text(json.dumps(data, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
