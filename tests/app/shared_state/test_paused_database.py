"""PostgreSQL stops answering (SIGSTOP): each request ends with 503 within eight seconds, and the app recovers.

This holds whatever a request was doing at that moment.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import URL, Connection

from app.config import AppSettings
from app.migrate import migrate
from app.services import users
from app.services.database import sync_engine
from app.services.errors import Unavailable
from app.services.users import BlockingUsers, open_users
from tests.app.shared_state.stacks import create, is_unavailable, new_name
from tests.harness import servers
from tests.harness.client import Address, Answer, request
from tests.harness.processes import pause, until
from tests.harness.servers import Postgres
from tests.harness.stack import Server, serving
from tests.harness.walks import walk

PROMISED_SECONDS = 8.0
HEAL_SECONDS = 5.0
READY_SECONDS = 2.0  # within which a worker reports that it is not ready
PAUSE_SECONDS = 20.0
INSIDE = "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND wait_event_type IN ('Lock', 'Timeout')"
SLOW_COMMIT = (
    "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN IF clock_timestamp() < '{}' THEN PERFORM pg_sleep(3); END IF; RETURN NULL; END $$",
    "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON users DEFERRABLE INITIALLY DEFERRED"
    " FOR EACH ROW EXECUTE FUNCTION slow()",
)


@dataclass
class Asked:
    """An answer and the seconds that it took."""

    answer: Answer
    seconds: float


async def ask(address: Address, method: str = "GET", target: str = "/api/users") -> Asked:
    start = time.monotonic()
    answer = await (create(address, new_name()) if method == "POST" else request(address, method, target))
    return Asked(answer, time.monotonic() - start)


@dataclass
class Case:
    """The app, the database to be paused, and the running requests."""

    server: Server
    postgres: Postgres
    name: str
    group: asyncio.TaskGroup
    under_way: list[asyncio.Task[Asked]]

    def begin(self, count: int, method: str = "GET") -> None:
        """Send this number of requests to all workers."""
        for number in range(count):
            address = self.server.address(number % self.server.workers)
            self.under_way.append(self.group.create_task(ask(address, method)))

    async def until_inside(self, sessions: int) -> None:
        """Wait until this number of the app's sessions is inside a statement."""
        query = INSIDE.format(self.name)
        async with asyncio.timeout(3):
            while await asyncio.to_thread(self.postgres.value, query) < sessions:
                await pause()


Moment = Callable[[Case], Awaitable[None]]


async def before_connect(case: Case) -> None:
    await asyncio.to_thread(case.postgres.terminate_sessions)


async def idle(case: Case) -> None:
    await asyncio.gather(*(create(case.server.address(number % 2), new_name()) for number in range(40)))


async def in_a_query(case: Case) -> None:
    case.begin(6)
    await case.until_inside(6)


async def in_a_write(case: Case) -> None:
    case.begin(6, "POST")
    await case.until_inside(6)


async def in_a_commit(case: Case) -> None:
    end = datetime.now(UTC) + timedelta(seconds=PROMISED_SECONDS)
    for statement in SLOW_COMMIT:
        await asyncio.to_thread(case.postgres.execute, statement.format(end), case.name)
    case.begin(4, "POST")
    await case.until_inside(4)


async def with_all_connections_in_use(case: Case) -> None:
    case.begin(60)
    await case.until_inside(20)


MOMENTS: dict[str, tuple[Moment, bool]] = {  # the second item: whether the table is locked
    "before connect": (before_connect, False),
    "idle": (idle, False),
    "in a query": (in_a_query, True),
    "in a write": (in_a_write, True),
    "in a commit": (in_a_commit, False),
    "with all connections in use": (with_all_connections_in_use, True),
}


@pytest.fixture(scope="module")
def own() -> Iterator[Postgres]:
    """A server that can be paused without harm to other tests."""
    with servers.postgres() as server:
        yield server
        server.resume()


@contextmanager
def locked(postgres: Postgres, name: str) -> Iterator[None]:
    """Lock the users' table in another session."""
    with postgres.connect(postgres.url(name)) as other:
        other.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        yield
        postgres.resume()
        other.rollback()


@contextmanager
def paused(postgres: Postgres) -> Iterator[None]:
    postgres.pause()
    try:
        yield
    finally:
        postgres.resume()


@asynccontextmanager
async def started(postgres: Postgres) -> AsyncIterator[Case]:
    """Start two workers on a new database."""
    url = postgres.new_database()
    name = url.rpartition("/")[2]
    with serving(workers=2, DATABASE_URL=url) as server:
        async with asyncio.TaskGroup() as group:
            yield Case(server, postgres, name, group, [])


async def heals(server: Server) -> None:
    """Check that each worker reads and writes within five seconds."""
    deadline = time.monotonic() + HEAL_SECONDS
    for slot in range(server.workers):
        for method, status in (("GET", 200), ("POST", 201)):
            while (asked := await ask(server.address(slot), method)).answer.status != status:
                assert is_unavailable(asked.answer)
                assert time.monotonic() < deadline
    assert time.monotonic() < deadline


@pytest.mark.parametrize(("moment", "lock"), walk(MOMENTS, "in a query"))
async def test_paused(own: Postgres, moment: Moment, lock: bool) -> None:
    """Requests running or begun during a pause end with 503 in time; afterwards all workers read and write."""
    async with started(own) as case:
        with locked(own, case.name) if lock else nullcontext():
            await moment(case)
            with paused(own):
                resumed = time.monotonic() + PAUSE_SECONDS
                while time.monotonic() < resumed - PROMISED_SECONDS - 1:
                    case.begin(2)
                    case.begin(2, "POST")
                    ready = await ask(case.server.address(), target="/readyz")
                    assert ready.answer.status == 503
                    assert ready.seconds < READY_SECONDS
                    await asyncio.sleep(0.5)  # between the requests of a client
                asked = await asyncio.gather(*case.under_way)
                await until(lambda: time.monotonic() > resumed, PAUSE_SECONDS)
        await heals(case.server)

        assert max(one.seconds for one in asked) < PROMISED_SECONDS
        assert all(is_unavailable(one.answer) for one in asked)
        again = await asyncio.gather(*(ask(case.server.address(number % 2)) for number in range(100)))
        assert {one.answer.status for one in again} == {200}


async def test_stop_while_it_is_paused(own: Postgres) -> None:
    """A server stopped while the database is paused answers its requests, if only with an error, and ends in time."""
    async with started(own) as case:
        with locked(own, case.name):
            await in_a_query(case)
            with paused(own):
                start = time.monotonic()
                code = await asyncio.to_thread(case.server.stop)
                seconds = time.monotonic() - start
                asked = await asyncio.gather(*case.under_way)

        assert code == 0
        assert seconds < PROMISED_SECONDS + 2
        assert {one.answer.status for one in asked} <= {500, 503}  # 500 for handlers cancelled by the drain


@pytest.fixture
def url(own: Postgres) -> URL:
    """A database with its tables."""
    address = AppSettings.from_environment({"DATABASE_URL": own.new_database()}).database_url
    migrate(address)
    return address


@pytest.mark.parametrize("writes", [False, True])
async def test_cancelled(own: Postgres, url: URL, writes: bool) -> None:
    """A cancelled request ends at once, and its connection's place in the pool is free at once."""
    store = open_users(url, 1)
    with locked(own, url.database or ""):
        call = store.write(users.create, "ann") if writes else store.read(users.page, 1, 0)
        task = asyncio.create_task(call)
        async with asyncio.timeout(3):
            while await asyncio.to_thread(own.value, INSIDE.format(url.database)) < 1:
                await pause()
        with paused(own):
            start = time.monotonic()
            task.cancel()
            await asyncio.wait({task})
            seconds = time.monotonic() - start

    assert task.cancelled()
    assert seconds < 0.5
    assert await store.read(users.page, 1, 0) == []
    await store.close()


async def test_in_a_rollback(own: Postgres, url: URL) -> None:
    """A transaction that fails while the server is paused ends in time, and gives its connection's place back."""
    store = open_users(url, 1)

    def write_and_fail(connection: Connection) -> None:
        users.create(connection, "ann")
        own.pause()
        raise LookupError

    start = time.monotonic()
    try:
        with pytest.raises((LookupError, Unavailable)):
            await store.write(write_and_fail)
        seconds = time.monotonic() - start
    finally:
        own.resume()

    assert seconds < PROMISED_SECONDS
    assert await store.read(users.page, 1, 0) == []
    await store.close()


@pytest.mark.parametrize("writes", [False, True])
async def test_blocking_twin(own: Postgres, url: URL, writes: bool) -> None:
    """The baseline's threads fail within the same time."""
    engine = sync_engine(url, 2)
    store = BlockingUsers(engine)

    def call() -> float:
        start = time.monotonic()
        with pytest.raises(Unavailable):
            _ = store.write(users.create, new_name()) if writes else store.read(users.page, 1, 0)
        return time.monotonic() - start

    with locked(own, url.database or ""):
        under_way = [asyncio.create_task(asyncio.to_thread(call)) for _ in range(4)]
        async with asyncio.timeout(3):
            while await asyncio.to_thread(own.value, INSIDE.format(url.database)) < 2:
                await pause()
        with paused(own):
            await asyncio.sleep(1)  # later calls find all connections in use
            under_way += [asyncio.create_task(asyncio.to_thread(call)) for _ in range(4)]
            seconds = await asyncio.gather(*under_way)

    assert max(seconds) < PROMISED_SECONDS
    assert store.read(users.page, 1, 0) == []
    engine.dispose()
