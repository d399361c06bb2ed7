"""A folder with a short name for all tests of a module, which imports this fixture."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.processes import short_folder


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder for sockets, whose paths must be short."""
    with short_folder() as path:
        yield path
