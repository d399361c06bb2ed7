"""`make top`: the stack that runs, live in the terminal, whatever app it serves."""

import os
import subprocess

from slipway.ops import setup
from slipway.ops.console import Failure
from slipway.ops.runtime import Runtime
from slipway.ops.settings import ROOT

REQUIREMENTS = "requirements/local.txt"  # has rich


def run(runtime: Runtime) -> None:
    """Show it until interrupted, with the interpreter of the environment that has rich."""
    runtime.ask("metrics")  # nothing runs: said at once
    venv = setup.environment(runtime.settings.run_dir, REQUIREMENTS)
    environment = {**os.environ, "RUNTIME": "docker" if runtime.name == "containers" else "local"}
    try:
        code = subprocess.run([str(venv / "python"), "-m", "slipway.ops.screen"], cwd=ROOT, env=environment).returncode
    except KeyboardInterrupt:
        return
    if code:
        raise Failure(f"the screen has ended with {code}")
