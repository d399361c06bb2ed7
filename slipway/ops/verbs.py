"""The verbs that `make` calls: selects the runtime, checks the settings and runs the verb."""

import os
import sys

from slipway.ops import certificate, doctor, dotenv, misspelt, observe, shell, systemd, top
from slipway.ops.change import one_change
from slipway.ops.compose import Compose, engine_answers
from slipway.ops.console import Failure, say
from slipway.ops.develop import Development
from slipway.ops.folder import make_private
from slipway.ops.local import Local
from slipway.ops.prove import prove
from slipway.ops.runtime import Runtime
from slipway.ops.settings import DOTENV, ROOT, StackSettings, documented
from slipway.serving.settings import ServerSettings

CHANGES = ("up", "down", "reload", "deploy", "rollback", "prove")  # one at a time
LOOKS = ("status", "logs", "top", "doctor", "observe", "migrate", "locust", "service", "dev", "shell")
HARMLESS = ("down", "status", "logs", "top", "doctor", "observe")  # they run despite wrong settings
TOOLS = {"doctor": doctor.run, "observe": observe.run, "top": top.run}  # for any runtime
USAGE = 2  # exit code


def main() -> None:
    """Run the verb that the command line names; exit codes are those of `Failure`."""
    if len(sys.argv) != 2 or sys.argv[1] not in CHANGES + LOOKS:
        say(f"usage: python -m slipway.ops {' | '.join(CHANGES + LOOKS)}")
        sys.exit(USAGE)
    os.umask(0o077)  # the files that are written hold logs, data and passwords
    try:
        _run(sys.argv[1])
    except Failure as failure:
        print(failure, file=sys.stderr)
        sys.exit(failure.exit_code)
    except KeyboardInterrupt:
        say("")
        sys.exit(130)  # 128 + SIGINT, as a shell has it


def _run(verb: str) -> None:
    lenient = verb in HARMLESS
    settings = StackSettings.load_leniently(say) if lenient else StackSettings.load()
    if verb == "up":
        for note in misspelt.notes(dotenv.read(ROOT / DOTENV, os.environ).keys(), documented()):
            say(f"  {note}")
    if verb == "dev":
        Development(settings).run()
    elif verb == "shell":
        shell.run(settings)
    elif verb in CHANGES:
        with one_change(settings.run_dir, verb):
            _do(verb, choose(settings, lenient=lenient))
    else:
        _do(verb, choose(settings, lenient=lenient))


def _do(verb: str, runtime: Runtime) -> None:
    settings = runtime.settings
    if verb not in HARMLESS:  # refuses what the server would refuse, before anything is built or started
        ServerSettings.from_environment(
            {**settings.environment, "SOCKET_DIR": str(settings.run_dir / "app"), "INSTANCE": "app"}
        )
    if verb == "prove":
        prove(settings, runtime)
    elif verb == "service":
        make_private(settings.run_dir)
        say(f"a systemd unit is written; to start the stack now and at each boot, type:\n\n  {systemd.write(settings)}")
    elif verb in TOOLS:
        TOOLS[verb](runtime)
    else:
        getattr(runtime, verb)()
    if verb == "up":
        say(f"\nSlipway is up: {runtime.name}, {runtime.workers()} workers\n\n  {settings.url}")
        if settings.https.on:
            say(f"  {settings.https_url}{certificate.remark(settings.https.folder, settings.acme.domains)}")
        if settings.baseline:
            say(f"  {settings.baseline_url}  the WSGI baseline")


def choose(settings: StackSettings, *, lenient: bool = False) -> Runtime:
    """Return the running runtime; else containers if an engine answers, else local processes."""
    local = Local(settings, lenient=lenient)
    if settings.runtime == "docker":
        return Compose(settings)
    if settings.runtime == "local" or local.runs() or not engine_answers():
        return local
    return Compose(settings)
