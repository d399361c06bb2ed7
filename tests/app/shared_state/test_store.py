"""The users' statements on both databases, for the ASGI app and for the WSGI baseline."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import URL, Connection

from app.config import AppSettings
from app.migrate import migrate
from app.services import database, users
from app.services.database import sync_engine
from app.services.errors import NameTaken, Unavailable
from app.services.postgresql.async_users import AsyncUsers, async_engine
from app.services.users import BlockingUsers, User, Users
from tests.app.shared_state.stacks import Backend


@pytest.fixture
def url(backend: Backend, folder: Path) -> URL:
    """A database with its tables."""
    address = AppSettings.from_environment({"DATA_DIR": str(folder), **backend.env}).database_url
    migrate(address)
    return address


@pytest.fixture
def blocking(url: URL) -> Iterator[BlockingUsers]:
    engine = sync_engine(url)
    yield BlockingUsers(engine)
    engine.dispose()


async def create(store: Users, *names: str) -> list[User]:
    return [await store.write(users.create, name) for name in names]


async def test_create_and_find(store: Users) -> None:
    """A user is found as it was stored, with the time in UTC."""
    before = datetime.now(UTC)
    (user,) = await create(store, "ü \U0001f600")

    assert await store.read(users.find, user.id) == user
    assert user.name == "ü \U0001f600"
    assert before <= user.created_at <= datetime.now(UTC)
    assert user.created_at.tzinfo is UTC


async def test_find_nobody(store: Users) -> None:
    """An id without a user, also the largest one, finds None."""
    assert await store.read(users.find, 1) is None
    assert await store.read(users.find, users.MAX_ID) is None


async def test_name_is_taken(store: Users) -> None:
    """The database refuses a second user with the same name; names that differ in case are different."""
    await create(store, "Ann", "ann")

    with pytest.raises(NameTaken, match="Ann"):
        await create(store, "Ann")

    assert len(await store.read(users.page, 10, 0)) == 2


async def test_name_is_free_again(store: Users) -> None:
    """A refused name leaves nothing behind, and the name of a deleted user may be used again."""
    (first,) = await create(store, "Ann")
    with pytest.raises(NameTaken):
        await create(store, "Ann")
    await store.write(users.delete, first.id)

    (second,) = await create(store, "Ann")

    assert second.id > first.id


async def test_one_winner(store: Users) -> None:
    """Of many requests for one name at the same time one succeeds, and all others raise NameTaken."""
    results = await asyncio.gather(*(store.write(users.create, "Ann") for _ in range(20)), return_exceptions=True)

    assert sum(isinstance(result, User) for result in results) == 1
    assert sum(isinstance(result, NameTaken) for result in results) == 19


async def test_pages(store: Users) -> None:
    """Pages follow each other by id, whatever is deleted or added between them."""
    made = await create(store, *"abcdefg")
    first = await store.read(users.page, 3, 0)
    await store.write(users.delete, made[2].id)
    await store.write(users.delete, made[4].id)
    (late,) = await create(store, "late")
    second = await store.read(users.page, 3, first[-1].id)
    third = await store.read(users.page, 3, second[-1].id)

    assert first == made[:3]
    assert second == [made[3], made[5], made[6]]
    assert third == [late]
    assert await store.read(users.page, 3, late.id) == []


async def test_delete(store: Users) -> None:
    """Deleting returns whether the user existed; an id is never used again."""
    (user,) = await create(store, "a")

    assert await store.write(users.delete, user.id)
    assert not await store.write(users.delete, user.id)
    assert (await create(store, "b"))[0].id == user.id + 1


async def test_failed_write_is_undone(store: Users) -> None:
    """The writes of a function that fails are rolled back."""

    def write_and_fail(connection: Connection) -> None:
        users.create(connection, "a")
        raise LookupError

    with pytest.raises(LookupError):
        await store.write(write_and_fail)

    assert await store.read(users.page, 10, 0) == []


async def test_full_pool_is_unavailable(url: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that gets no connection from the pool fails in bounded time."""
    if url.get_backend_name() == "sqlite":
        pytest.skip("its connections belong to threads: tests/app/services/test_threads.py")
    monkeypatch.setattr(database, "POOL_SECONDS", 0.02)
    engine = async_engine(url, 1)
    store = AsyncUsers(engine)
    async with engine.connect():
        with pytest.raises(Unavailable):
            await store.read(users.ping)

    await store.read(users.ping)
    await store.close()


def test_blocking_twin(blocking: BlockingUsers) -> None:
    """The baseline's store does the same from many threads."""
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda name: blocking.write(users.create, name), "abcdefgh"))

    assert blocking.read(users.page, 10, 0) == sorted(made, key=lambda user: user.id)
    with pytest.raises(NameTaken):
        blocking.write(users.create, "a")
    assert blocking.write(users.delete, made[0].id)
    assert blocking.read(users.find, made[0].id) is None
