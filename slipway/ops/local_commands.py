"""One-off commands beside the local stack, with its environment."""

import subprocess
from collections.abc import Mapping, Sequence

from slipway.ops import setup
from slipway.ops.console import Failure
from slipway.ops.programs import Programs
from slipway.ops.settings import ROOT, StackSettings


def migrate(programs: Programs, settings: StackSettings, requirements: str) -> None:
    """Run PRESTART alone."""
    venv = setup.environment(settings.run_dir, requirements)
    command = settings.prestart
    if not command:
        raise Failure("nothing to run: neither PRESTART nor prestart in [tool.slipway] names a command")
    if _run(command, programs.environment("app", settings, venv)):
        raise Failure(f"{' '.join(command)} failed")


def locust(programs: Programs, settings: StackSettings, requirements: str) -> None:
    """Run the load generator on the stack until it is done or interrupted."""
    venv = setup.environment(settings.run_dir, requirements)
    environment = {**programs.environment("app", settings, venv), "LOCUST_HOST": settings.url}
    code = _run([str(venv / "python"), str(venv / "locust"), "-f", "loadtest"], environment)
    if code:
        raise Failure(f"locust ended with {code}")


def _run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    return subprocess.run(command, env=environment, cwd=ROOT).returncode
