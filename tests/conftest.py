"""Shared by all tests, and the rules for Slipway's own tests."""

import gc
import os
import sys
import warnings
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

from slipway.ops.rules import Rules
from slipway.ops.settings import ROOT
from tests.harness import sharing
from tests.harness.processes import short_folder
from tests.promises.promise import PROPERTY, Row, table

# Otherwise each process of a run, and each server that a test starts, would compile all its imports again.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# The same examples in each run: only a change can then cause a new failure, and the suite takes the same time.
settings.register_profile("slipway", derandomize=True, deadline=None, max_examples=200, database=None)
settings.load_profile("slipway")

RULES = Rules.of()
OURS = [ROOT / name for name in RULES.ours]
USABLE = [ROOT / name for name in RULES.usable]
IGNORED_WARNING = "The `uvicorn.workers` module"  # pinned; see the dependencies in pyproject.toml


@cache  # thousands of tests are in few files
def is_ours(path: Path) -> bool:
    """Return whether Slipway's rules apply to a test file; a project's own tests have the rules of its author."""
    return any(path.is_relative_to(folder) for folder in OURS)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out tests that need the shipped app once it has been replaced."""
    usable = any(collection_path.is_relative_to(folder) for folder in USABLE)
    return True if is_ours(collection_path) and not usable else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without the garbage collector, and exempt the collected objects from it: they live until the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Make a warning at import an error, such as that about an unknown mark."""
    with warnings.catch_warnings():
        if is_ours(collector.path):
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", IGNORED_WARNING, DeprecationWarning)
        return (yield)


def pytest_configure(config: pytest.Config) -> None:
    """Register our distribution of tests among processes."""
    config.pluginmanager.register(sharing)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Make a warning in a test an error."""
    strict = pytest.mark.filterwarnings("error", f"ignore:{IGNORED_WARNING}:DeprecationWarning")
    for item in items:
        if is_ours(item.path):
            item.add_marker(strict, append=False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the checked promises in the table of `make soak`."""
    rows = [
        Row(*value)
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, value in report.user_properties
        if name == PROPERTY and isinstance(value, (list, tuple))
    ]
    if rows:
        terminalreporter.section("promises")
        terminalreporter.write_line(table(rows))


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder with a short name."""
    with short_folder() as folder:
        yield folder
