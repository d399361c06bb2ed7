"""What all tests share, and what holds for Slipway's own tests alone."""

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

# Else each process of a run, and each server that a test starts, compiles all that it imports anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# The same examples in each run: a new failure is then caused by a change, and the suite takes the same time.
settings.register_profile("slipway", derandomize=True, deadline=None, max_examples=200, database=None)
settings.load_profile("slipway")

RULES = Rules.of()
OURS = [ROOT / name for name in RULES.ours]
USABLE = [ROOT / name for name in RULES.usable]
IGNORED_WARNING = "The `uvicorn.workers` module"  # pinned; see the dependencies in pyproject.toml


@cache  # thousands of tests lie in few files
def is_ours(path: Path) -> bool:
    """Whether Slipway's rules hold for a test; what a project adds, its author configures."""
    return any(path.is_relative_to(folder) for folder in OURS)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out what serves the shipped app, once that has been replaced."""
    usable = any(collection_path.is_relative_to(folder) for folder in USABLE)
    return True if is_ours(collection_path) and not usable else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no cycles meanwhile, and later for none among what was made here: it stays to the end."""
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
    """Make a warning at import an error, an unknown mark among them."""
    with warnings.catch_warnings():
        if is_ours(collector.path):
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", IGNORED_WARNING, DeprecationWarning)
        return (yield)


def pytest_configure(config: pytest.Config) -> None:
    """Take our way of sharing the tests out."""
    config.pluginmanager.register(sharing)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Make a warning of a test an error."""
    strict = pytest.mark.filterwarnings("error", f"ignore:{IGNORED_WARNING}:DeprecationWarning")
    for item in items:
        if is_ours(item.path):
            item.add_marker(strict, append=False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the promises that were checked, in the table of `make soak`."""
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
