"""`make status` and `make logs` of the local runtime."""

import os

from slipway.ops import leftovers, readiness
from slipway.ops.console import NOTHING_RUNS, Failure, say
from slipway.ops.following import follow
from slipway.ops.local_processes import LocalProcesses
from slipway.ops.programs import APPS


def status(processes: LocalProcesses) -> None:
    """Print each program and the answer of the ready path; Failure when a part does not run or is not ready."""
    settings, states = processes.settings, processes.supervisor.states()
    if not states:
        raise Failure(why_nothing_runs(processes), NOTHING_RUNS)
    for name, state in states.items():
        say(f"  {name:15} {state.state:9} {state.description}")
    alive = processes.alive()
    readiness.report(settings, {*alive, *(["app"] if alive & {*APPS} else [])})


def logs(processes: LocalProcesses) -> None:
    """Follow all logs until interrupted; if nothing runs, Failure names the folder of earlier logs."""
    files = sorted((processes.run / "log").glob("*.log"))
    if not processes.supervisor.runs():
        old = f"; the logs of before lie in {processes.run / 'log'}" if files else ""
        raise Failure(why_nothing_runs(processes) + old, NOTHING_RUNS)
    request_id = processes.settings.request
    # The records of an earlier request may be in rotated files.
    full = [path for file in files for path in sorted(file.parent.glob(f"{file.name}.*"), reverse=True)]
    lines = "+1" if request_id else "50"
    follow(["tail", "-n", lines, "-F", *map(str, files)], os.environ, request_id, full if request_id else ())


def why_nothing_runs(processes: LocalProcesses) -> str:
    """Return the message of a verb that needs a running stack."""
    left = len(leftovers.leftovers(processes.run))
    if not left:
        return "nothing runs; `make up` starts it"
    if processes.supervisor.is_ending():
        return f"the stack is being stopped, and {left} of its processes still run"
    return (
        f"supervisor was killed, and {left} of its processes still run; "
        "`make down` ends them, `make up` starts the stack anew"
    )
