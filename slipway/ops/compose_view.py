"""`make status` and `make logs` of the Docker runtime."""

from slipway.ops import readiness
from slipway.ops.console import NOTHING_RUNS, Failure, say
from slipway.ops.engine import LABEL, Engine
from slipway.ops.following import follow
from slipway.ops.settings import StackSettings


def status(engine: Engine, settings: StackSettings) -> None:
    """Print each container and the answer of the ready path; Failure when a part does not run or is not ready."""
    lines = engine.containers(show=f'{{{{.Label "{LABEL}.service"}}}}\t{{{{.Status}}}}\t{{{{.State}}}}')
    rows = sorted(line.split("\t") for line in lines)
    if not rows:
        raise Failure("nothing runs; `make up` starts it", NOTHING_RUNS)
    say(f"  project {engine.project}, for `docker compose -p {engine.project} …`")
    for name, status, _ in rows:
        say(f"  {name:15} {status}")
    running = {name for name, _, state in rows if state == "running"}
    readiness.report(settings, running, engine.stores)


def logs(engine: Engine, settings: StackSettings) -> None:
    """Follow all logs until interrupted."""
    request_id = settings.request
    command = engine.command("logs", "--no-color", "--follow", "--tail", "all" if request_id else "50")
    follow(command, engine.environment(), request_id)
