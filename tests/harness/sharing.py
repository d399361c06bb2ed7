"""How pytest-xdist distributes tests among processes: long ones first, and each server is started once.

Its own `--dist=loadgroup` does this with marks, but has no effect with pytest 9.2, which no longer takes an item's
name from `_nodeid` (pytest-xdist 3.8). So a process writes the groups to a file, and the scheduler reads it.
"""

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]
from xdist.workermanage import WorkerController  # type: ignore[import-untyped]

from slipway.ops.settings import ROOT

# Folders whose tests wait longest for servers come first, and before them tests with a longer time-out, so that no long
# test starts when all others have ended.
LONGEST_FIRST = (
    "own",
    "promises",
    "bench",
    "ops",
    "live",
    "app/shared_state",
    "loadtest",
    "app/browser",
    "app/contract",
)
GROUPS = "groups"  # the file's name, and the key of its path in each process's input

_folder = tempfile.TemporaryDirectory(prefix="slipway-tests-")


def group(item: pytest.Item) -> str:
    """Return the group of tests that stay in one process: those of a module that share a fixture, or a single test.

    A fixture of a module is set up once if the tests that use it stay together. One of the session is set up by each
    process, unless it has parameters, each of which is a separate stack.
    """
    if not isinstance(item, pytest.Function):
        return item.nodeid.partition("::")[0]
    chosen = item.callspec.indices if hasattr(item, "callspec") else {}
    shared = [(name, known[-1].scope) for name, known in item._fixtureinfo.name2fixturedefs.items()]
    kinds = "".join(f" {name}={chosen[name]}" for name, scope in shared if scope != "function" and name in chosen)
    if any(scope in ("class", "module") for _, scope in shared):
        return item.nodeid.partition("::")[0] + kinds
    return kinds or item.nodeid


def rank(item: pytest.Item) -> tuple[float, bool, int]:
    """Return a test's sort key: the smallest starts first."""
    timeout = item.get_closest_marker("timeout")
    return -timeout.args[0] if timeout else 0, group(item) == item.nodeid, place(item.path)


@cache  # thousands of tests are in few files
def place(path: Path) -> int:
    """Return a file's position in LONGEST_FIRST."""
    places = [place for place, name in enumerate(LONGEST_FIRST) if path.is_relative_to(ROOT / "tests" / name)]
    return places[0] if places else len(LONGEST_FIRST)


class Groups(LoadScopeScheduling):  # type: ignore[misc]
    """A scheduler that hands out whole groups, in the order of the collection."""

    def schedule(self) -> None:
        self._groups: dict[str, str] = json.loads(Path(_folder.name, GROUPS).read_text())
        super().schedule()

    def _split_scope(self, nodeid: str) -> str:
        return self._groups[nodeid]

    def _pending_of(self, workload: dict[str, dict[str, bool]]) -> int:
        """Count a process's remaining tests without iterating over finished groups again."""
        for done in [name for name, tests in workload.items() if all(tests.values())]:
            del workload[done]
        return sum(list(tests.values()).count(False) for tests in workload.values())


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    """Tell a process where to write the groups."""
    node.workerinput[GROUPS] = str(Path(_folder.name, GROUPS))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    """Replace the scheduler of `--dist=loadgroup`."""
    return Groups(config, log) if config.getoption("dist") == "loadgroup" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order the tests, if there are several processes."""
    if hasattr(config, "workerinput"):
        items.sort(key=rank)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Write the groups before the scheduler learns that collection has ended; all processes have the same ones."""
    told = getattr(session.config, "workerinput", {})
    if told.get("workerid") == "gw0":
        Path(told[GROUPS]).write_text(json.dumps({item.nodeid: group(item) for item in session.items}))
