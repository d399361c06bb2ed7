"""What the benchmark's tests share."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def own_database() -> Iterator[None]:
    """The benchmark stores a user in the database that it is given: a test must not be given anybody's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DATABASE_URL", raising=False)
        yield
