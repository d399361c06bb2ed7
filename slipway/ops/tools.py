"""Programs of the environment that a lock file names."""

import os
import signal
import subprocess
import sys

from slipway.ops import setup
from slipway.ops.settings import ROOT, StackSettings


def prepare(requirements: str) -> None:
    """The environment that a lock file names, first on the path."""
    venv = setup.environment(StackSettings.load().run_dir, requirements)
    os.environ["PATH"] = f"{venv}{os.pathsep}{os.environ['PATH']}{os.pathsep}/usr/sbin"


def run(module: str, *arguments: str, empty: int = 0) -> bool:
    """Run a module of the environment; its exit code is ours, also after Ctrl-C, which reaches it too.

    False if it ended with the code that says there was nothing to do.
    """
    # not ignored, which the module would inherit; without this it would be killed 0.25 s after it was told to end
    signal.signal(signal.SIGINT, lambda number, frame: None)
    done = subprocess.run(["python", "-m", module, *arguments], cwd=ROOT, stdin=subprocess.DEVNULL)
    if done.returncode not in (0, empty):
        sys.exit(done.returncode)
    return done.returncode == 0
