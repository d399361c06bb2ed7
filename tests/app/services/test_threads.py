"""A unit of work on SQLite ends with its caller, the number of threads is bounded, and readers wait for no writer."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy import URL, Connection, make_url, text

from app.migrate import migrate
from app.services import users
from app.services.errors import Unavailable
from app.services.users import Users, open_users

SECONDS = 5.0
ENDLESS = text("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n")
MOST = 3


@pytest.fixture
def threads() -> Callable[[], list[str]]:
    """Return a function that lists this test's SQLite threads, without those of an app kept by other tests."""
    before = {*threading.enumerate()}
    return lambda: [
        each.name for each in threading.enumerate() if each.name.startswith("sqlite-") and each not in before
    ]


@pytest.fixture
async def store(threads: Callable[[], list[str]], url: URL) -> AsyncIterator[Users]:
    store = open_users(url, MOST)
    yield store
    await store.close()


class Held:
    """A unit of work that blocks its thread until `let_go` is set."""

    def __init__(self) -> None:
        self.inside = threading.Event()
        self.let_go = threading.Event()

    def __call__(self, connection: Connection) -> str:
        self.inside.set()
        assert self.let_go.wait(SECONDS)
        return threading.current_thread().name

    async def begun(self) -> None:
        assert await asyncio.to_thread(self.inside.wait, SECONDS)


async def test_threads_are_few(threads: Callable[[], list[str]], store: Users) -> None:
    """There are never more threads than connections, however many requests come at once."""
    await asyncio.gather(*(store.read(users.page, 1, 0) for _ in range(200)))
    await asyncio.gather(*(store.write(users.create, f"user {number}") for number in range(20)))

    assert len(threads()) == MOST
    assert len(await store.read(users.page, 100, 0)) == 20


async def test_threads_end(threads: Callable[[], list[str]], url: URL) -> None:
    """A store that is closed leaves no thread."""
    store = open_users(url, MOST)
    await store.read(users.ping)
    await store.write(users.create, "ann")
    await store.close()

    assert threads() == []


@pytest.mark.parametrize("writes", [False, True], ids=["read", "write"])
async def test_cancelled_in_a_statement(store: Users, writes: bool) -> None:
    """A cancelled caller returns at once; its statement is interrupted, so that the thread is free."""
    run = store.write if writes else store.read
    started = threading.Event()

    def endless(connection: Connection) -> None:
        started.set()
        connection.execute(ENDLESS)

    tasks = [asyncio.create_task(run(endless)) for _ in range(MOST)]
    assert await asyncio.to_thread(started.wait, SECONDS)
    began = time.monotonic()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    waited = time.monotonic() - began
    async with asyncio.timeout(SECONDS):
        await run(users.page, 1, 0)

    assert all(task.cancelled() for task in tasks)
    assert waited < 0.5


async def test_cancelled_between_two_statements(store: Users) -> None:
    """A statement that begins after its caller was cancelled is ended like a running one."""
    held = Held()

    def wait_and_go_on(connection: Connection) -> None:
        held(connection)
        connection.execute(ENDLESS)

    task = asyncio.create_task(store.write(wait_and_go_on))
    await held.begun()
    task.cancel()
    await asyncio.wait({task})
    held.let_go.set()

    async with asyncio.timeout(SECONDS):
        assert (await store.write(users.create, "ann")).name == "ann"


async def test_cancelled_writer_keeps_nothing(store: Users) -> None:
    """The writes of a cancelled caller are rolled back, even if its last statement has run."""
    held = Held()

    def write_and_wait(connection: Connection) -> None:
        users.create(connection, "ann")
        held(connection)

    task = asyncio.create_task(store.write(write_and_wait))
    await held.begun()
    task.cancel()
    await asyncio.wait({task})
    held.let_go.set()

    assert (await store.write(users.create, "ann")).name == "ann"


async def test_cancelled_before_its_turn(store: Users) -> None:
    """A unit whose caller was cancelled while it waited for a thread never runs."""
    held = Held()
    first = asyncio.create_task(store.write(held))
    await held.begun()
    second = asyncio.create_task(store.write(users.create, "ann"))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait({second})
    held.let_go.set()
    await first

    assert await store.read(users.page, 10, 0) == []


async def test_neighbour_is_not_interrupted(store: Users) -> None:
    """Cancellation ends only the caller's own statement, and none that runs later on the same connection."""
    for number in range(200):
        task = asyncio.create_task(store.read(users.page, 1, 0))
        await asyncio.sleep(0.000_01 * (number % 20))
        task.cancel()
        assert await store.read(users.page, 1, 0) == []
        await asyncio.wait({task})


async def test_all_threads_are_busy(store: Users, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that gets no thread fails in bounded time, and the next one is served."""
    held = [Held() for _ in range(MOST - 1)]
    reading = [asyncio.create_task(store.read(each)) for each in held]
    for each in held:
        await each.begun()
    monkeypatch.setattr(users, "ANSWER_SECONDS", 0.02)
    with pytest.raises(Unavailable):
        await store.read(users.page, 1, 0)
    monkeypatch.undo()
    for each in held:
        each.let_go.set()
    names = await asyncio.gather(*reading)

    assert len({*names}) == MOST - 1
    assert await store.read(users.page, 1, 0) == []


async def test_readers_wait_for_no_writer_of_the_same_worker(store: Users, url: URL) -> None:
    """Readers are served while more writers than there are connections wait for another process."""
    other = sqlite3.connect(url.database or "", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writing = [asyncio.create_task(store.write(users.create, name)) for name in "abcdef"]
    async with asyncio.timeout(1):
        for _ in range(10):
            assert await store.read(users.page, 1, 0) == []
    other.execute("ROLLBACK")
    other.close()

    assert [user.name for user in await asyncio.gather(*writing)] == [*"abcdef"]


async def test_file_comes_back(folder: Path) -> None:
    """A database that could not be opened is used as soon as it can be."""
    url = make_url(f"sqlite:///{folder}/slipway.db")
    folder.joinpath("slipway.db").mkdir()
    store = open_users(url)
    with pytest.raises(Unavailable):
        await store.read(users.page, 1, 0)
    folder.joinpath("slipway.db").rmdir()
    with pytest.raises(Unavailable):
        await store.read(users.page, 1, 0)  # no tables
    migrate(url)

    assert await store.read(users.page, 1, 0) == []
    await store.close()
