"""Long walks over cases: a few of each belong to `make test`, the rest to `make suites`."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import pytest


def walk(cases: Mapping[str, Any] | Iterable[str], *quick: str) -> list[Any]:
    """The cases as parameters of a test, by their names; all but the quick ones are marked as a suite.

    Names alone are values, too.
    """
    named = cases if isinstance(cases, Mapping) else {name: name for name in cases}
    assert {*quick} <= named.keys(), {*quick} - named.keys()
    return [
        pytest.param(*_values(case), id=name, marks=[] if name in quick else [pytest.mark.suite])
        for name, case in named.items()
    ]


def _values(case: Any) -> Collection[Any]:
    return case if isinstance(case, tuple) else (case,)
