"""Copies of the tree, like a reader's own clone."""

import shutil
from pathlib import Path

from slipway.ops.settings import ROOT

COPIED = ("Makefile", "pyproject.toml", "gunicorn.conf.py", ".env.example")
FOLDERS = ("app", "nginx", "requirements", "slipway")


def copy_tree(target: Path) -> None:
    """Copy the files that a stack runs from."""
    target.mkdir(exist_ok=True)
    for name in COPIED:
        shutil.copy(ROOT / name, target)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
