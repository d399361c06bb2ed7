"""Fixtures of the benchmark's tests."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def own_database() -> Iterator[None]:
    """The benchmark stores a user in the database of DATABASE_URL; tests must not use an outside one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DATABASE_URL", raising=False)
        yield
