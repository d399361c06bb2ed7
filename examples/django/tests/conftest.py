"""Sets Django up with a database for the tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Prepare the site and return the folder that it writes to."""
    folder = tmp_path_factory.mktemp("data")
    os.environ |= {"DATA_DIR": str(folder), "DATABASE_URL": "", "DJANGO_SETTINGS_MODULE": "app.settings"}
    from app.prepare import main

    main()
    yield folder
