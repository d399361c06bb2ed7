"""`python -m bench`: run the benchmark, or compare two results. `make bench` and `make bench-compare` call this."""

import argparse
import os
import random
import signal
import sys
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from bench import about, arms, report, terminal
from bench.plan import FULL, MODES, NORMAL, QUICK, Mode, plan, prepare_seconds, total_seconds
from bench.processes import NotStarted
from bench.results import HOME, Results, latest
from bench.session import Session
from bench.stack import now

console = terminal.console()


def main() -> None:
    """Parse the command line; the settings of `make bench` come by the environment."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    verbs = parser.add_subparsers(dest="verb")
    run = verbs.add_parser("run", help="measure (QUICK=1, FULL=1, SERVERS=uvicorn,granian, P99=100)")
    run.add_argument("--resume", nargs="?", const="", help="go on with an interrupted run, by default the newest")
    show = verbs.add_parser("report", help="build the report anew from a folder")
    show.add_argument("folder", nargs="?")
    compare = verbs.add_parser("compare", help="what changed between two results")
    compare.add_argument("a")
    compare.add_argument("b")
    options = parser.parse_args()
    if options.verb == "compare":
        report.compare(Path(options.a), Path(options.b), console)
    elif options.verb == "report":
        report.build(_folder(options.folder), console)
    else:
        sys.exit(measure(getattr(options, "resume", None)))


def measure(resume: str | None) -> int:
    """Run or go on; what there is becomes a report even after Ctrl-C."""
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell started us with SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    results = Results(_folder(resume)) if resume is not None else _new()
    facts = results.about
    mode = MODES[facts["mode"]]
    chosen = [arms.BY_NAME[name] for name in facts["arms"]]
    session = Session(results, mode, chosen, objective=facts["objective"], workers=facts["workers"], seed=facts["seed"])
    visits = plan(mode, chosen, facts["seed"])
    estimate = total_seconds(mode, chosen, visits)
    console.print(f"{mode.name}: {len(visits)} starts, about {estimate / 60:.0f} min, into {results.folder}")
    try:
        with Progress(
            BarColumn(), TextColumn("{task.percentage:3.0f} %"), TimeRemainingColumn(),
            TextColumn("{task.description}"), console=console,
        ) as progress:  # fmt: skip
            task = progress.add_task("", total=estimate)

            def say(text: str) -> None:
                progress.update(task, description=text)

            session.prepare(say)
            progress.advance(task, prepare_seconds(mode, chosen))
            for visit in visits:
                session.visit(visit, say, lambda seconds: progress.advance(task, seconds))
                progress.advance(task, visit.seconds - sum(step.seconds for step in visit.steps))
    except KeyboardInterrupt:
        console.print(
            f"\nInterrupted; what is measured stays. Go on with: python -m bench run --resume {results.folder}"
        )
        return 130
    except (NotStarted, RuntimeError) as error:
        console.print(f"[red]{error}[/red]\nWhat is measured stays in {results.folder}.")
        return 1
    report.build(results.folder, console)
    for failure in session.failed:
        console.print(f"no result: {failure}")
    return 1 if session.failed else 0


def _new() -> Results:
    mode: Mode = QUICK if os.environ.get("QUICK") else FULL if os.environ.get("FULL") else NORMAL
    seed = int(os.environ.get("SEED") or random.randrange(1 << 30))
    try:
        chosen = arms.chosen(os.environ.get("SERVERS", ""))
        objective = float(os.environ.get("P99") or 100)
    except ValueError as error:
        sys.exit(str(error))
    results = Results(HOME / now())
    results.create(about.facts(mode, chosen, seed=seed, objective=objective))
    return results


def _folder(name: str | None) -> Path:
    folder = Path(name) if name else latest()
    if folder is None or not (folder / "about.json").exists():
        sys.exit(f"there is no result in {name or HOME}")
    return folder


if __name__ == "__main__":
    main()
