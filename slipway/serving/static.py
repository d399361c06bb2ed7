"""Copies static files to STATIC_VOLUME, for an nginx that can't read the app's folders.

An instance copies its files when it is put into service. Files that it no longer has stay there, since clients' open
pages still request them.
"""

import logging
import shutil
from collections.abc import Iterable
from pathlib import Path

from slipway.project import ROOT

log = logging.getLogger("slipway")


def hand_out(folders: Iterable[str], target: Path, root: Path = ROOT) -> None:
    """Copy changed files, each in one step; a failure is only logged, since the app itself can serve them."""
    try:
        for folder in folders:
            for source in sorted((root / folder).rglob("*")):
                if source.is_file():
                    _copy(source, target / source.relative_to(root))
    except OSError as error:
        log.error("static files are not all handed to nginx, which asks the app for the others: %s", error)


def _copy(source: Path, target: Path) -> None:
    """Copy a changed file with its mtime, from which nginx makes the ETag."""
    before, after = source.stat(), target.stat() if target.exists() else None
    if after and (after.st_size, after.st_mtime) == (before.st_size, before.st_mtime):
        return
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.new")
    shutil.copy2(source, new)
    new.chmod(0o644)
    new.replace(target)
