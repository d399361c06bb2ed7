"""The user store, on SQLite unless a test overrides `url`."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

from app.migrate import migrate
from app.services.users import Users, open_users


@pytest.fixture
def url(folder: Path) -> URL:
    """A database with its tables."""
    address = make_url(f"sqlite:///{folder}/slipway.db")
    migrate(address)
    return address


@pytest.fixture
async def store(url: URL) -> AsyncIterator[Users]:
    """An open store."""
    store = open_users(url)
    yield store
    await store.close()
