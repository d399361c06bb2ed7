"""`python -m bench`: run the benchmark, or compare two results. `make bench` and `make bench-compare` call this."""

import argparse
import os
import random
import signal
import sys
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from bench.figures.results import HOME, Results, latest, now
from bench.report import compare, report, terminal
from bench.run import about, arms
from bench.run.plan import FULL, MODES, NORMAL, QUICK, of_one, plan, prepare_seconds, total_seconds
from bench.run.runner import Runner
from slipway.environment import Environment
from slipway.ops.settings import ROOT

INTERRUPTED = 130  # the shell's exit code for SIGINT
console = terminal.console()


def main() -> None:
    """Parse the command line; `make bench` passes its settings in the environment."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    verbs = parser.add_subparsers(dest="verb")
    verbs.add_parser("run", help="measure (QUICK=1, FULL=1, SERVERS=uvicorn,granian, P99=100, SEED=1, RESUME=folder)")
    show = verbs.add_parser("report", help="rebuild the report from a folder, by default the newest")
    show.add_argument("folder", nargs="?")
    comparing = verbs.add_parser("compare", help="compare two results")
    comparing.add_argument("a")
    comparing.add_argument("b")
    options = parser.parse_args()
    if options.verb == "compare":
        compare.show(_folder(options.a), _folder(options.b), console)
    elif options.verb == "report":
        report.build(_folder(options.folder), console)
    else:
        sys.exit(measure(_results(os.environ.get("RESUME", ""))))


def measure(results: Results) -> int:
    """Run or resume; each result is saved immediately."""
    for number in (signal.SIGINT, signal.SIGTERM):  # even if started with SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    go_on = f"What is measured stays. Go on with: make bench RESUME={_shown(results.folder)}"
    try:
        failed = _measure(results)
    except KeyboardInterrupt:
        console.print(f"\nInterrupted. {go_on}", markup=False, soft_wrap=True)
        return INTERRUPTED
    except RuntimeError as error:
        console.print(f"{error}\n{go_on}", markup=False, soft_wrap=True)
        return 1
    report.build(results.folder, console)
    for failure in failed:
        console.print(f"no result: {failure}", markup=False, soft_wrap=True)
    return 1 if failed else 0


def _measure(results: Results) -> list[str]:
    """Execute the remaining plan; return the steps without a result."""
    facts = results.about
    mode, chosen = MODES[facts["mode"]], [arms.BY_NAME[name] for name in facts["arms"]]
    if len(chosen) == 1:
        mode = of_one(mode)
    session = Runner(results, mode, chosen, objective=facts["objective"], workers=facts["workers"], seed=facts["seed"])
    visits = session.remaining(plan(mode, chosen, facts["seed"]))
    estimate = total_seconds(mode, chosen, visits)
    console.print(f"{mode.name}: {len(visits)} starts, about {_duration(estimate)}, into {_shown(results.folder)}")
    with Progress(
        BarColumn(), TextColumn("{task.percentage:3.0f} %"), TimeRemainingColumn(), TextColumn("{task.description}"),
        console=console,
    ) as progress:  # fmt: skip
        task = progress.add_task("", total=estimate)

        def say(text: str) -> None:
            progress.update(task, description=text)

        session.prepare(say)
        progress.advance(task, prepare_seconds(mode, chosen))
        for visit in visits:
            session.visit(visit, say, lambda seconds: progress.advance(task, seconds))
    return session.failed


def _results(resume: str) -> Results:
    """The folder to resume, or a new one."""
    if resume:
        return Results(_folder(resume))
    env = Environment()
    mode = QUICK if env.flag("QUICK", False) else FULL if env.flag("FULL", False) else NORMAL
    seed = env.integer("SEED", random.randrange(1 << 30), 0, 1 << 30)
    objective = env.integer("P99", 100, 1, 60_000)
    try:
        chosen = arms.chosen(env.text("SERVERS"))
    except ValueError as error:
        sys.exit(str(error))
    results = Results(HOME / now())
    results.create(about.facts(mode, chosen, seed=seed, objective=objective))
    return results


def _folder(name: str | None) -> Path:
    folder = Path(name) if name else latest()
    if folder is None or not (folder / "about.json").exists():
        sys.exit(f"there is no result in {name or _shown(HOME)}")
    return folder


def _shown(folder: Path) -> Path:
    return folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds < 2 * 3_600 else f"{seconds / 3_600:.1f} h"


if __name__ == "__main__":
    main()
