"""`make top`: the running stack, live in the terminal, for any app."""

import os
import subprocess

from slipway.ops import setup
from slipway.ops.console import Failure
from slipway.ops.runtime import Runtime
from slipway.ops.settings import ROOT

REQUIREMENTS = "requirements/local.txt"  # has rich


def run(runtime: Runtime) -> None:
    """Show the screen until interrupted, with the interpreter of the environment that has rich."""
    runtime.ask("metrics")  # fails at once if nothing runs
    venv = setup.environment(runtime.settings.run_dir, REQUIREMENTS)
    environment = {**os.environ, "RUNTIME": "docker" if runtime.name == "containers" else "local"}
    try:
        code = subprocess.run([str(venv / "python"), "-m", "slipway.ops.screen"], cwd=ROOT, env=environment).returncode
    except KeyboardInterrupt:
        return
    if code:
        raise Failure(f"the screen has ended with {code}")
