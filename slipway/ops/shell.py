"""`make shell`: the user's own shell, with `.run/venv/bin` first on PATH and the settings of `.env`."""

import os
from pathlib import Path

from slipway.ops import setup
from slipway.ops.console import Failure, say
from slipway.ops.settings import ROOT, StackSettings

LOCKS = ("requirements/local.txt", "requirements/loadtest.txt")  # have the commands of the README


def run(settings: StackSettings) -> None:
    """Replace this process by the shell."""
    for lock in LOCKS:
        if (ROOT / lock).exists():
            venv = setup.environment(settings.run_dir, lock)
    binaries = settings.run_dir / "venv" / "bin"
    program = os.environ.get("SHELL") or "/bin/sh"
    if not Path(program).exists():
        raise Failure(f"SHELL={program} is not there")
    say(f"  {binaries} is first on the path; `exit` ends it")
    data = settings.environment.get("DATA_DIR") or str(settings.run_dir / "data")
    environment = {**settings.environment, "DATA_DIR": data, "VIRTUAL_ENV": str(venv.parent)}
    environment["PATH"] = f"{binaries}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    os.chdir(ROOT)
    os.execve(program, [program], environment)
