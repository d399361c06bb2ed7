"""Finds the libraries that an app imports, and those that must not be loaded before a fork; runs in a trial fork."""

import importlib
import site
import sys
import sysconfig
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

PLACES = ("stdlib", "platstdlib", "purelib", "platlib")
SHARED = ("socket:", "anon_inode:[event")  # between processes after a fork: data that one process reads, another misses
FOLDERS = ("site-packages", "dist-packages")


class LeftOutError(ImportError):
    """A library imports a module that must not be loaded."""


class Fence:
    """The first finder of sys.meta_path: refuses imports of the project's own code and of left-out libraries."""

    def __init__(self, left_out: Collection[str] = ()) -> None:
        self._left_out = {*left_out}
        self.stopped = ""  # the last refused import

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find nothing; raise LeftOutError for a module that must not be imported."""
        if name in self._left_out:
            self._stop(name)
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.origin and spec.has_location and not is_library(spec.origin):
            self._stop(f"{name}, which is no library")
        return None

    def _stop(self, name: str) -> None:
        self.stopped = name
        raise LeftOutError(name)


def is_library(file: str) -> bool:
    """Whether a file is installed, rather than the project's own."""
    path = Path(file)
    if any(folder in path.parts for folder in FOLDERS):
        return True
    return any(path.is_relative_to(place) for place in _places())


@cache  # a third of a trial's time otherwise
def _places() -> frozenset[str]:
    """Return the folders of installed libraries."""
    return frozenset({*(sysconfig.get_path(name) for name in PLACES), *site.getsitepackages()})


def libraries() -> dict[str, str]:
    """Return the loaded libraries, with their files, in the order in which their imports began."""
    found = {}
    for name, module in [*sys.modules.items()]:
        spec: ModuleSpec | None = getattr(module, "__spec__", None)
        if spec is None or spec.name != name or not spec.has_location or not spec.origin:
            continue
        if is_library(spec.origin):
            found[name] = spec.origin
    return found


def trouble() -> str:
    """Return in words what would not survive a fork of this process; empty if there is nothing."""
    if len([*Path("/proc/self/task").iterdir()]) > 1:  # all threads, not Python's alone
        return "it starts a thread"
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the descriptor by which the folder was read is closed
            if str(descriptor.readlink()).startswith(SHARED):
                return "it opens a socket"
    return ""


def load(name: str, fence: Fence) -> str:
    """Import one library; return why it must not be loaded, or nothing. Remove what a failed import has added."""
    before = {*sys.modules}
    fence.stopped = ""
    try:
        importlib.import_module(name)
        reason = ""
    except LeftOutError:
        reason = ""
    except BaseException as error:
        reason = f"it can't be imported by itself ({type(error).__name__}: {error})"
    if fence.stopped:
        reason = f"it imports {fence.stopped}"
    if reason:
        for added in sys.modules.keys() - before:
            del sys.modules[added]
    return reason


def try_app(module: str) -> dict[str, Any]:
    """Import an app; return the libraries that were not loaded before, and what would not survive a fork."""
    known = {*sys.modules}
    importlib.import_module(module)
    return {"names": [name for name in libraries() if name not in known], "trouble": trouble()}


def try_names(names: Iterable[str], left_out: Collection[str]) -> dict[str, Any]:
    """Return the first of some libraries that must not be loaded, with the reason."""
    fence = Fence(left_out)
    sys.meta_path.insert(0, fence)
    for name in names:
        if reason := load(name, fence) or trouble():
            return {"fault": [name, reason]}
    return {"fault": None}
