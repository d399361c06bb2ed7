"""`make status` and `make logs` of the Docker runtime."""

import json

from slipway.ops import readiness
from slipway.ops.console import NOTHING_RUNS, Failure, say
from slipway.ops.engine import LABEL, Engine
from slipway.ops.following import follow
from slipway.ops.settings import StackSettings


def status(engine: Engine, settings: StackSettings) -> None:
    """Print the containers and the answer of the ready path; Failure with exit code 3 when there are none."""
    rows = engine.containers(show=f'{{{{.Label "{LABEL}.service"}}}}\t{{{{.Status}}}}')
    if not rows:
        raise Failure("nothing runs; `make up` starts it", NOTHING_RUNS)
    say(f"  project {engine.project}, for `docker compose -p {engine.project} …`")
    for row in sorted(rows):
        say("  {:15} {}".format(*row.split("\t")))
    url = readiness.url(settings, settings.url)
    code, body = readiness.ask(settings, settings.url)
    say(f"  {url}: {code or body} {json.dumps(body) if code else ''}")
    if settings.https.on:
        say(f"  {settings.https_url}")


def logs(engine: Engine, settings: StackSettings) -> None:
    """Follow all logs until interrupted."""
    request_id = settings.request
    command = engine.command("logs", "--no-color", "--follow", "--tail", "all" if request_id else "50")
    follow(command, engine.environment(), request_id)
