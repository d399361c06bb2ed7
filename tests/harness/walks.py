"""Long tables of cases: a few of each run in `make test`, the rest in `make suites`."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import pytest


def walk(cases: Mapping[str, Any] | Iterable[str], *quick: str) -> list[Any]:
    """Return the cases as parameters of a test, with their names as ids; all but the quick ones are marked as a suite.

    Where only names are given, they are the values, too.
    """
    named = cases if isinstance(cases, Mapping) else {name: name for name in cases}
    assert {*quick} <= named.keys(), {*quick} - named.keys()
    return [
        pytest.param(*_values(case), id=name, marks=[] if name in quick else [pytest.mark.suite])
        for name, case in named.items()
    ]


def _values(case: Any) -> Collection[Any]:
    return case if isinstance(case, tuple) else (case,)
