"""Static files for an nginx that can't see the app's folders: copies of them in STATIC_VOLUME.

An instance makes them when it is put into service. A file that is no longer among its own stays, since pages that
clients have open ask for it.
"""

import logging
import shutil
from collections.abc import Iterable
from pathlib import Path

from slipway.project import ROOT

log = logging.getLogger("slipway")


def hand_out(folders: Iterable[str], target: Path, root: Path = ROOT) -> None:
    """Copy what has changed, each file in one step; what goes wrong is logged, since the app itself can serve them."""
    try:
        for folder in folders:
            for source in sorted((root / folder).rglob("*")):
                if source.is_file():
                    _copy(source, target / source.relative_to(root))
    except OSError as error:
        log.error("static files are not all handed to nginx, which asks the app for the others: %s", error)


def _copy(source: Path, target: Path) -> None:
    """With its time, of which nginx makes the tag."""
    before, after = source.stat(), target.stat() if target.exists() else None
    if after and (after.st_size, after.st_mtime) == (before.st_size, before.st_mtime):
        return
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.new")
    shutil.copy2(source, new)
    new.chmod(0o644)
    new.replace(target)
