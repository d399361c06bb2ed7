"""`python -m bench.fanout`: the table of rooms. QUICK=1: an estimate; ONLY=Slipway: arms with that in their name."""

import asyncio
import json
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles

from rich.table import Table

from bench.fanout.arms import ARMS, FanoutArm, redis_server
from bench.fanout.talk import RoomTalk, talk
from bench.figures.results import HOME, now
from bench.figures.stats import paired_ratio
from bench.report import terminal
from bench.run import about, machine

CLIENTS = 200
RATE = 50.0  # messages a second
BASE = "python-socketio, Redis"


def main() -> None:
    """Measure all arms in turn, print and save the figures; exit with 1 if a message was lost or disordered."""
    rounds, seconds = (2, 4.0) if os.environ.get("QUICK") else (5, 10.0)
    arms = [arm for arm in ARMS if os.environ.get("ONLY", "") in arm.name]
    found: dict[str, list[RoomTalk]] = {arm.name: [] for arm in arms}
    for number in range(rounds):
        for arm in arms[number % len(arms) :] + arms[: number % len(arms)]:
            found[arm.name].append(_measure(arm, seconds))
            print(f"round {number + 1} of {rounds}: {arm.name}", file=sys.stderr)
    console = terminal.console()
    console.print(_table(found))
    folder = HOME / f"{now()}-fanout"
    folder.mkdir(parents=True)
    (folder / "fanout.json").write_text(json.dumps(_data(found), indent=1, sort_keys=True) + "\n")
    console.print(f"{CLIENTS} clients, {RATE:g} messages/s, 2 workers; saved in {folder}")
    sys.exit(1 if any(each.wrong for talks in found.values() for each in talks) else 0)


def _measure(arm: FanoutArm, seconds: float) -> RoomTalk:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fanout-")))
        redis = stack.enter_context(redis_server(folder))
        room = arm.start(stack, folder, redis)
        return asyncio.run(talk(room, arm.dialect, clients=CLIENTS, rate=RATE, seconds=seconds))


def _table(found: dict[str, list[RoomTalk]]) -> Table:
    drawn = Table(title="one room, every message to every client", title_justify="left")
    headings = ("row", "deliveries/CPU s", "µs each", f"of {BASE}", "p50 ms", "p99 ms", "lost or disordered")
    for heading in headings:
        drawn.add_column(heading, justify="left" if heading == "row" else "right")
    base = found.get(BASE)
    for name, talks in found.items():
        rates = [each.per_cpu_second for each in talks]
        ratio = str(paired_ratio(rates, [each.per_cpu_second for each in base])) if base else ""
        cuts = quantiles([latency * 1e3 for each in talks for latency in each.latencies] or [0.0, 0.0], n=100)
        drawn.add_row(
            name, f"{median(rates):,.0f}", f"{1e6 / max(median(rates), 1e-9):.1f}", ratio, f"{cuts[49]:.1f}",
            f"{cuts[98]:.1f}", str(sum(each.wrong for each in talks)),
        )  # fmt: skip
    return drawn


def _data(found: dict[str, list[RoomTalk]]) -> dict[str, object]:
    runs = {
        name: [{"deliveries": each.deliveries, "cpu_seconds": each.cpu_seconds, "wrong": each.wrong} for each in talks]
        for name, talks in found.items()
    }
    return {"machine": machine.describe(), "versions": about.versions(), "runs": runs}


if __name__ == "__main__":
    main()
