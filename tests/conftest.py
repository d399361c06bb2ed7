"""What all tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.harness.processes import short_folder

# The same examples in each run: a new failure is then caused by a change, and the suite takes the same time.
settings.register_profile("slipway", derandomize=True, deadline=None, max_examples=200, database=None)
settings.load_profile("slipway")


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder with a short name."""
    with short_folder() as folder:
        yield folder
