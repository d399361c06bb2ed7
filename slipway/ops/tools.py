"""Programs of the environment with the packages of a lock file."""

import os
import signal
import subprocess
import sys

from slipway.ops import setup
from slipway.ops.settings import ROOT, StackSettings


def prepare(requirements: str) -> None:
    """Install the packages of a lock file, and put their environment first on PATH."""
    venv = setup.environment(StackSettings.load().run_dir, requirements)
    os.environ["PATH"] = f"{venv}{os.pathsep}{os.environ['PATH']}{os.pathsep}/usr/sbin"


def run(module: str, *arguments: str, empty: int = 0) -> bool:
    """Run a module of the environment; exit with its code if it fails, also after Ctrl-C, which reaches it too.

    Return False if it ended with the code `empty`, which means that there was nothing to do.
    """
    # not SIG_IGN, which the module would inherit; without a handler subprocess kills it 0.25 s after Ctrl-C
    signal.signal(signal.SIGINT, lambda number, frame: None)
    done = subprocess.run(["python", "-m", module, *arguments], cwd=ROOT, stdin=subprocess.DEVNULL)
    if done.returncode not in (0, empty):
        sys.exit(done.returncode)
    return done.returncode == 0
