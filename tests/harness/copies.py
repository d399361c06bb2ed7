"""Copies of the tree for the checkers to run in."""

import shutil
from pathlib import Path

from slipway.ops.settings import ROOT

TYPES = ".mypy_cache"


def with_types(tree: Path) -> None:
    """Give a copy mypy's cache of this tree. mypy compares content, so only changed files are checked again."""
    if (ROOT / TYPES).exists():  # `make lint` has run
        shutil.copytree(ROOT / TYPES, tree / TYPES)
