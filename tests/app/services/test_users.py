"""Users on SQLite while the file is locked or can't be opened. tests/app/shared_state tests both databases."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

from app.services import database, users
from app.services.database import sync_engine
from app.services.errors import Unavailable
from app.services.users import BlockingUsers, User, Users, open_users


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests wait only 0.02 s for a locked file."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_SECONDS", 0.02)


@contextmanager
def locked(url: URL) -> Iterator[None]:
    """Hold the write lock of the database, as another process."""
    other = sqlite3.connect(url.database or "", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


async def create(store: Users, *names: str) -> list[User]:
    return [await store.write(users.create, name) for name in names]


@pytest.mark.parametrize("microsecond", [0, 5, 123_456])
def test_json_has_microseconds(microsecond: int) -> None:
    """The time of creation always has six digits after the second."""
    user = User(1, "a", datetime(2026, 1, 2, 3, 4, 5, microsecond, UTC))

    assert user.as_json() == {"id": 1, "name": "a", "created_at": f"2026-01-02T03:04:05.{microsecond:06}Z"}


@pytest.mark.usefixtures("impatient")
async def test_locked_file(url: URL) -> None:
    """A writer that waits in vain for another process gets Unavailable, and may try again."""
    store = open_users(url)
    with locked(url), pytest.raises(Unavailable):
        await create(store, "a")

    assert len(await create(store, "a")) == 1
    await store.close()


@pytest.mark.usefixtures("impatient")
async def test_readers_do_not_wait_for_writers(url: URL) -> None:
    """Readers are served while another process writes."""
    store = open_users(url)
    made = await create(store, "a")
    with locked(url):
        assert await store.read(users.page, 10, 0) == made
        await store.read(users.ping)
    await store.close()


@pytest.mark.usefixtures("impatient")
def test_blocking_readers_do_not_wait_for_writers(url: URL) -> None:
    """The baseline's readers are served, too, while another process writes."""
    engine = sync_engine(url)
    store = BlockingUsers(engine)
    made = store.write(users.create, "a")
    with locked(url):
        assert store.read(users.page, 10, 0) == [made]
        with pytest.raises(Unavailable):
            store.write(users.create, "b")
    engine.dispose()


async def test_readers_leave_no_transaction(store: Users, url: URL) -> None:
    """A connection that has read holds no lock: another process can write at once."""
    await store.read(users.page, 10, 0)
    with locked(url):
        pass
    other = sqlite3.connect(url.database or "", timeout=0)
    with other:
        other.execute("INSERT INTO users (name, created_at) VALUES ('a', 0)")
    other.close()

    assert [user.name for user in await store.read(users.page, 10, 0)] == ["a"]


async def test_database_is_away(folder: Path) -> None:
    """A database that can't be opened is unavailable to readers and writers."""
    folder.joinpath("slipway.db").mkdir()
    store = open_users(make_url(f"sqlite:///{folder}/slipway.db"))

    with pytest.raises(Unavailable):
        await store.read(users.ping)
    with pytest.raises(Unavailable):
        await create(store, "a")
    await store.close()
