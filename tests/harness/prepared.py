"""The files that the project's PRESTART leaves in DATA_DIR, made once per process, since that takes a second."""

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from slipway.ops.settings import ROOT
from tests.harness.processes import BIN

_made = tempfile.TemporaryDirectory(prefix="slipway-prepared-")
_one_at_a_time = threading.Lock()


@cache
def _prepared(prestart: Sequence[str]) -> Path:
    """Run PRESTART once; return the folder to copy from."""
    folder = Path(_made.name, "data")
    environment = {"PATH": f"{BIN}:{os.environ['PATH']}", "DATA_DIR": str(folder)}
    subprocess.run(prestart, cwd=ROOT, env=environment, check=True)
    return folder


def prepare(folder: Path, prestart: Sequence[str]) -> None:
    """Fill DATA_DIR as PRESTART would, unless it exists."""
    if folder.exists():
        return
    with _one_at_a_time:
        made = _prepared(prestart)
    shutil.copytree(made, folder)
