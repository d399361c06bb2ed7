"""Loads the libraries that an app imports in the arbiter, before it forks, so that all workers share their memory.

The app's own modules are imported by each worker, so that a reload takes new code. PRELOAD=auto finds the libraries by
importing the app in a trial fork, PRELOAD=off loads none, and anything else names them.
"""

import gc
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from slipway.serving.probe import Fence, libraries, load, try_app, try_names
from slipway.serving.trial import ask

log = logging.getLogger("gunicorn.error")

AUTO, OFF = "auto", "off"
MOST_TRIES = 20  # each finds one library that has to be left out
MOST_TOLD = 3  # warnings about left-out modules; dozens of Django's need its settings
SHARE = 0.5  # of TIMEOUT for all tries together: a start must not fail over a saving of memory

Stamp = tuple[int, int]  # a file's mtime in nanoseconds, and its size


@dataclass(slots=True)
class Preloaded:
    """The loaded libraries, the server's own included."""

    files: dict[str, tuple[str, Stamp | None]] = field(default_factory=dict)  # by module: its file and stamp
    left_out: dict[str, str] = field(default_factory=dict)  # by module: why

    def changed(self) -> list[str]:
        """Return the packages whose files have changed: the loaded code stays until the server is restarted."""
        names = {name.partition(".")[0] for name, (file, stamp) in self.files.items() if _stamp(file) != stamp}
        return sorted(names)


def preload(setting: Sequence[str], app: str, seconds: float) -> Preloaded:
    """Load the setting's libraries for an app (a module), and exempt existing objects from garbage collection.

    No failure here ends the start: each worker imports what was not loaded.
    """
    found = Preloaded()
    if setting != [OFF]:
        _share(found, setting, app, seconds)
    found.files = {name: (file, _stamp(file)) for name, file in libraries().items()}
    return found


def _share(found: Preloaded, setting: Sequence[str], app: str, seconds: float) -> None:
    before = len(sys.modules)
    gc.disable()  # imports leave no garbage, and a search for it is a fifth of their time
    try:
        _load(found, _names(setting, app, found.left_out, seconds))
    except (OSError, ValueError) as error:
        log.warning("No library is loaded before the fork: %s", error)
    finally:
        gc.enable()
    _tell(found.left_out)
    log.info("%d modules of libraries are loaded before the fork", len(sys.modules) - before)
    gc.collect()
    gc.freeze()  # else a collection in a worker would write to all objects, and so copy them


def _tell(left_out: Mapping[str, str]) -> None:
    for name, reason in [*left_out.items()][:MOST_TOLD]:
        log.warning("%s is not loaded before the fork: %s", name, reason)
    if (more := len(left_out) - MOST_TOLD) > 0:
        log.warning("%d more modules are not loaded before the fork, for such reasons", more)


def _names(setting: Sequence[str], app: str, left_out: dict[str, str], seconds: float) -> list[str]:
    """Return the libraries to load; add those that must not be loaded to `left_out`."""
    deadline = time.monotonic() + seconds * SHARE
    if setting == [AUTO]:
        answer = ask(partial(try_app, app), deadline - time.monotonic())
        if "error" in answer:
            raise ValueError(f"the app can't be tried ({answer['error']})")
        names: list[str] = answer["names"]
        if not answer["trouble"]:
            return names
    else:
        names = [*setting]
    for _ in range(MOST_TRIES):
        if (left := deadline - time.monotonic()) <= 0:
            raise ValueError(f"it takes too long to find out which can be; {len(left_out)} can't")
        answer = ask(partial(try_names, names, left_out), left)
        if "error" in answer:
            raise ValueError(answer["error"])
        if answer["fault"] is None:
            return names
        name, reason = answer["fault"]
        left_out[name] = reason
        names = [each for each in names if each != name]
    raise ValueError(f"more than {MOST_TRIES} libraries can't be: {', '.join(left_out)}")


def _load(found: Preloaded, names: Sequence[str]) -> None:
    fence = Fence(found.left_out)
    sys.meta_path.insert(0, fence)
    try:
        for name in names:
            if reason := load(name, fence):
                found.left_out[name] = reason
    finally:
        sys.meta_path.remove(fence)


def _stamp(file: str) -> Stamp | None:
    with suppress(OSError):
        status = Path(file).stat()
        return status.st_mtime_ns, status.st_size
    return None
