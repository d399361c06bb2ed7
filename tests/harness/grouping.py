"""How tests are shared out to the processes of `make test`: what starts servers first, and each server once."""

from pathlib import Path

import pytest

from slipway.ops.settings import ROOT

# Folders whose tests wait longest for servers come first, and before them tests with a longer time-out, so that no long
# test begins when all others have ended.
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


def group(item: pytest.Item) -> str | None:
    """The name under which tests that share a fixture stay in one process; None for a test that may run in any.

    A fixture of a module is set up once if the tests that use it stay together. One of the session is set up by each
    process, unless it has parameters, each of which is a stack of its own.
    """
    if not isinstance(item, pytest.Function):
        return item.nodeid.partition("::")[0]
    chosen = item.callspec.indices if hasattr(item, "callspec") else {}
    shared = [(name, known[-1].scope) for name, known in item._fixtureinfo.name2fixturedefs.items()]
    kinds = "".join(f" {name}={chosen[name]}" for name, scope in shared if scope != "function" and name in chosen)
    if any(scope in ("class", "module") for _, scope in shared):
        return item.nodeid.partition("::")[0] + kinds
    return kinds.strip() or None


def rank(item: pytest.Item) -> tuple[float, int]:
    """The order of the start: the smaller the earlier."""
    timeout = item.get_closest_marker("timeout")
    return -timeout.args[0] if timeout else 0, _folder(item.path)


def _folder(path: Path) -> int:
    places = [number for number, name in enumerate(LONGEST_FIRST) if path.is_relative_to(ROOT / "tests" / name)]
    return places[0] if places else len(LONGEST_FIRST)


def share_out(items: list[pytest.Item]) -> None:
    """Order and group the tests for pytest-xdist's `--dist=loadgroup`."""
    items.sort(key=rank)
    for item in items:
        if (name := group(item)) is not None:
            item.add_marker(pytest.mark.xdist_group(name))
