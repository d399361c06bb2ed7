"""Copies of the tree in which the checkers run."""

import shutil
from pathlib import Path

from slipway.ops.settings import ROOT

TYPES = ".mypy_cache"


def with_types(tree: Path) -> None:
    """Give a copy what mypy knows of this tree. It compares content, so only what differs is checked anew."""
    if (ROOT / TYPES).exists():  # `make lint` has run
        shutil.copytree(ROOT / TYPES, tree / TYPES)
