"""The promises at a small size, with the table of `make soak`, and the output of that verb."""

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import astuple
from typing import Any

import pytest

from slipway.ops.settings import ROOT
from tests.promises.promise import PROPERTY, Promise, Row, all_kept, table
from tests.promises.promises import PARTS, PROMISES

SMALL = [
    pytest.param(promise, id=promise.name, marks=[pytest.mark.alone] if promise.alone else [])
    for promise in PROMISES
    if promise.small is not None
]


@pytest.mark.parametrize("promise", SMALL)
async def test_promise(promise: Promise[Any], record_property: Callable[[str, object], None]) -> None:
    """A promise is kept at about a tenth of the load."""
    rows = [row async for row in promise.run_small()]
    for row in rows:
        record_property(PROPERTY, astuple(row))

    assert rows
    assert all_kept(rows), "\n" + table(rows)


def test_a_row_without_a_promise_breaks_none() -> None:
    """A row without a promise is shown beside the others, and does not change the exit code."""
    rows = [Row("one", "1", True), Row("two", "2", None)]

    assert table(rows).splitlines() == ["  kept    one  1", "  seen    two  2"]
    assert all_kept(rows)
    assert not all_kept([*rows, Row("three", "3", False)])


def test_names_are_given_once() -> None:
    """Each name on the command line is one promise."""
    assert len(PARTS) == len(PROMISES)


@pytest.mark.parametrize("names", [["reload", "kill"], ["reloads", "list"], ["Reloads"], [""]])
def test_unknown_parts_are_refused(names: list[str]) -> None:
    """Unknown names are reported with all known ones, and nothing is run."""
    command = [sys.executable, "-m", "tests.promises", *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == f"{', '.join(sorted({*names} - PARTS.keys()))}: not one of {', '.join(PARTS)}\n"


def test_parts_of_help() -> None:
    """The names in the Makefile's help are promises."""
    (named,) = re.findall(r'^soak:.*PARTS="([^"]+)"', (ROOT / "bench" / "verbs.mk").read_text(), re.MULTILINE)

    assert {*named.split()} <= PARTS.keys()
