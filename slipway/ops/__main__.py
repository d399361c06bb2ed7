"""`python -m slipway.ops VERB`; `make help` lists the verbs."""

import sys

from slipway.ops.compose import Compose, engine_answers
from slipway.ops.local import Local
from slipway.ops.prove import prove
from slipway.ops.report import Failure, say
from slipway.ops.settings import Settings
from slipway.serving.config import Settings as ServingSettings

VERBS = ("up", "down", "status", "logs", "reload", "deploy", "migrate", "prove", "locust")


def main() -> None:
    """Run one verb in the runtime that the settings or the machine decide."""
    if len(sys.argv) != 2 or sys.argv[1] not in VERBS:
        sys.exit(f"usage: python -m slipway.ops {' | '.join(VERBS)}")
    if sys.version_info < (3, 11):  # noqa: UP036 (a user's python3 may be older)
        raise Failure(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}; set PYTHON=…")
    runtime = choose(Settings.load())
    settings = runtime.settings
    # What the server would refuse is refused here, before anything is built or started.
    ServingSettings.from_environment(
        {**settings.environment, "SOCKET_DIR": str(settings.run_dir / "app"), "INSTANCE": "app"}
    )
    verb = sys.argv[1]
    if verb == "prove":
        prove(settings, runtime)
    else:
        getattr(runtime, verb)()
    if verb == "up":
        say(f"\nSlipway is up: {runtime.name}, {runtime.workers()} workers\n\n  {settings.url}")
        if settings.baseline:
            say(f"  {settings.baseline_url}  the WSGI baseline")


def choose(settings: Settings) -> Local | Compose:
    """What runs already; else containers where an engine answers, else local processes."""
    local = Local(settings)
    if local.runs():
        local = Local(Settings.load(local.in_force.remembered()))
    if settings.runtime == "docker":
        return Compose(settings)
    if settings.runtime == "local" or local.runs() or not engine_answers():
        return local
    return Compose(settings)


if __name__ == "__main__":
    main()
