"""What the project's PRESTART leaves in DATA_DIR, made once for all servers of a process, since it takes a second."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from slipway.ops.settings import ROOT
from tests.harness.processes import BIN

_made = tempfile.TemporaryDirectory(prefix="slipway-prepared-")


@cache
def _prepared(prestart: Sequence[str]) -> Path:
    """The folder that is copied."""
    folder = Path(_made.name, "data")
    environment = {"PATH": f"{BIN}:{os.environ['PATH']}", "DATA_DIR": str(folder)}
    subprocess.run(prestart, cwd=ROOT, env=environment, check=True)
    return folder


def prepare(folder: Path, prestart: Sequence[str]) -> None:
    """Let DATA_DIR be as it is after PRESTART, unless it is there already."""
    if not folder.exists():
        shutil.copytree(_prepared(prestart), folder)
