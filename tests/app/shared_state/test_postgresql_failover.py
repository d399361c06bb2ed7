"""PostgreSQL fails over: the new server serves requests within five seconds, whatever the old one still does.

Real servers: a primary and its streaming standby, behind a host name that moves from one to the other.
"""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest
from psycopg.errors import TooManyConnections
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from app.config import MOST_PER_POOL, AppSettings
from app.migrate import migrate
from app.services.database import sync_engine
from app.services.postgresql import engine_events
from app.services.postgresql.connections import BlockingConnection
from tests.app.shared_state.stacks import create, is_unavailable, new_name
from tests.harness import servers
from tests.harness.client import Address, Answer, request
from tests.harness.names import MovingName
from tests.harness.processes import until
from tests.harness.servers import Postgres
from tests.harness.stack import LITERAL, Server, serving
from tests.harness.walks import walk

HEAL_SECONDS = 5.0
SESSIONS = "SELECT sessions FROM pg_stat_database WHERE datname = current_database()"
SESSION = text("SELECT pg_backend_pid()")
NAME = "database.test"


@dataclass
class Pair:
    """Two servers, and the host name of one of them."""

    old: Postgres
    new: Postgres
    name: MovingName
    database: str

    @property
    def url(self) -> str:
        return f"postgresql://slipway@{self.name.name}:{self.old.port}/{self.database}"

    def fail_over(self) -> None:
        """Promote the standby and move the name to it."""
        self.new.promote()
        self.name.move(self.new.address)

    def break_table(self, code: str) -> None:
        """Let the old server fail each insert; the standby, promoted before, does not replicate that."""
        self.old.execute(
            f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$",
            self.database,
        )
        self.old.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON users EXECUTE FUNCTION refuse()",
            self.database,
        )


@pytest.fixture
def pair(folder: Path) -> Iterator[Pair]:
    """A pair whose name leads to the primary."""
    if os.geteuid() != 0:
        pytest.skip("a hosts file of the app's own takes root")
    with servers.postgres() as old:
        url = old.new_database()
        migrate(AppSettings.from_environment({"DATABASE_URL": url}).database_url)
        database = url.rpartition("/")[2]
        with servers.standby(old) as new:
            yield Pair(old, new, MovingName(folder, NAME, old.address), database)


def started(pair: Pair, url: str | None = None) -> AbstractContextManager[Server]:
    """Start two workers at the name, without a migration, or at another address, with one."""
    environment = {"DATABASE_URL": url} if url else {"DATABASE_URL": pair.url, "PRESTART": "none"}
    return serving(workers=2, literal=pair.name.seen_by(LITERAL), **environment)


@asynccontextmanager
async def load(server: Server, clients: int = 4) -> AsyncIterator[Counter[int]]:
    """Run clients that constantly create and read users on all workers; each answer must be right, or 503."""
    statuses: Counter[int] = Counter()

    async def work(client: int) -> None:
        address = server.address(client % server.workers)
        while True:
            for answer in (await create(address, new_name()), await request(address, "GET", "/api/users")):
                statuses[answer.status] += 1
                assert answer.status in (200, 201) or is_unavailable(answer), answer

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work(client)) for client in range(clients)]
        await until(lambda: statuses[201] > 20, 20)
        yield statuses
        for task in tasks:
            task.cancel()


async def heals(server: Server) -> None:
    """Check that each worker creates users over any connection within five seconds; until then only 503 is allowed."""
    deadline = time.monotonic() + HEAL_SECONDS
    for slot in range(server.workers):
        in_a_row = 0  # connections take turns, and a stale one may not have been used yet
        while in_a_row < 2 * MOST_PER_POOL:
            answer = await create(server.address(slot), new_name())
            in_a_row = in_a_row + 1 if answer.status == 201 else 0
            assert in_a_row or is_unavailable(answer)
            assert time.monotonic() < deadline


async def serves(server: Server, database: Postgres, name: str) -> None:
    """Check that within five seconds all connections of all workers lead to that server, and stay there."""
    deadline = time.monotonic() + HEAL_SECONDS
    in_a_row = 0
    while in_a_row < 40:
        address = server.address(in_a_row % server.workers)
        failure = await failing(address, database, name)
        assert failure is None or time.monotonic() < deadline, failure
        in_a_row = 0 if failure else in_a_row + 1


async def failing(address: Address, database: Postgres, name: str) -> Answer | None:
    """Create and find a user on that server and check readiness; return None, or the first wrong answer."""
    made = await create(address, new_name())
    if made.status != 201:
        return made
    user = json.loads(made.body)
    found = await request(address, "GET", made.headers["location"])
    kept = database.value(f"SELECT name FROM users WHERE id = {user['id']}", name)
    if kept != user["name"] or found.body != made.body:
        return found
    ready = await request(address, "GET", "/readyz")
    return None if ready.status == 200 else ready


async def says_that_it_is_away(address: Address) -> None:
    """Wait until `/readyz` names the database, at most five seconds."""
    deadline = time.monotonic() + HEAL_SECONDS
    while (answer := await request(address, "GET", "/readyz")).status != 503:
        assert time.monotonic() < deadline
    assert json.loads(answer.body)["checks"]["database"] == "fail"


Refusal = Callable[[Pair], None]
REFUSALS: dict[str, Refusal] = {
    "read-only": lambda pair: pair.old.set_read_only(),
    "read-only, sessions terminated": lambda pair: pair.old.set_read_only(terminate=True),
    "a standby by now": lambda pair: pair.old.demote(),
    "stopped": lambda pair: pair.old.kill(),
    "paused": lambda pair: pair.old.pause(),
}


@pytest.mark.parametrize("refuse", walk(REFUSALS, "read-only"))
async def test_name_moves(pair: Pair, refuse: Refusal) -> None:
    """Under load, `/readyz` reports a server that takes no writes, and the app recovers once the name has moved."""
    with started(pair) as server:
        async with load(server):
            await asyncio.to_thread(refuse, pair)
            await says_that_it_is_away(server.address())
            await asyncio.to_thread(pair.fail_over)
            await heals(server)
        await serves(server, pair.new, pair.database)


@pytest.mark.suite
@pytest.mark.parametrize("code", ["25006", "53100", "57P03", "58030"])
async def test_old_server_refuses_with_an_error(pair: Pair, code: str) -> None:
    """Connections to the old server are closed, whichever error it gives to writers."""
    with started(pair) as server:
        async with load(server):
            await asyncio.to_thread(pair.fail_over)
            await asyncio.to_thread(pair.break_table, code)
            await heals(server)
        await serves(server, pair.new, pair.database)


@pytest.mark.suite
async def test_readers_leave_a_server_that_has_refused_a_writer(pair: Pair) -> None:
    """Readers reach the new server without any further write, even if the refused connections were young."""
    pair.new.promote()
    pair.break_table("53100")
    with started(pair) as server:
        address = server.address()
        for _ in range(20):  # the first refusals replaced all connections, by new ones to the same server
            assert is_unavailable(await create(address, new_name()))
        pair.name.move(pair.new.address)
        new = await asyncio.to_thread(created, pair.new, pair.database)
        deadline = time.monotonic() + HEAL_SECONDS
        in_a_row = 0
        while in_a_row < 2 * MOST_PER_POOL:
            found = await request(address, "GET", f"/api/users/{new}")
            in_a_row = in_a_row + 1 if found.status == 200 else 0
            assert time.monotonic() < deadline


def created(server: Postgres, database: str) -> int:
    """Create a user that only this server has; return its id."""
    return int(server.value("INSERT INTO users (name, created_at) VALUES ('only here', 0) RETURNING id", database))


@pytest.mark.suite
async def test_readers_are_served_meanwhile(pair: Pair) -> None:
    """While the only server is read-only, readers are served, and not every request opens a new connection."""
    with started(pair) as server:
        address = server.address()
        made = await create(address, new_name())
        await asyncio.to_thread(pair.old.set_read_only)
        await says_that_it_is_away(address)
        before = pair.old.value(SESSIONS, pair.database)
        begun = time.monotonic()
        answers = [await request(address, "GET", made.headers["location"]) for _ in range(200)]
        refused = [await create(address, new_name()) for _ in range(50)]
        seconds = time.monotonic() - begun

        assert Counter(answer.status for answer in answers) == {200: 200}
        assert all(is_unavailable(answer) for answer in refused)
        assert pair.old.value(SESSIONS, pair.database) - before < 30 + 20 * seconds


@pytest.mark.suite
async def test_standby_is_promoted_where_it_is(pair: Pair) -> None:
    """A name that leads to a standby works once the standby is promoted to primary."""
    with started(pair) as server:
        pair.name.move(pair.new.address)
        await asyncio.to_thread(pair.old.kill)
        await says_that_it_is_away(server.address())
        await asyncio.to_thread(pair.new.promote)
        await heals(server)
        await serves(server, pair.new, pair.database)


@pytest.mark.parametrize("first", walk(["old", "new"]))
async def test_name_with_both_addresses(pair: Pair, first: str) -> None:
    """Of two addresses behind one name the app uses the server that takes writes, in either order."""
    addresses = [pair.old.address, pair.new.address]
    pair.name.move(*(addresses if first == "old" else reversed(addresses)))
    with started(pair) as server:
        async with load(server):
            await asyncio.to_thread(pair.old.set_read_only)
            await asyncio.to_thread(pair.new.promote)
            await heals(server)
        await serves(server, pair.new, pair.database)


@pytest.mark.suite
async def test_list_of_hosts(pair: Pair) -> None:
    """Of two addresses in DATABASE_URL the app uses the server that takes writes."""
    port = pair.old.port
    hosts = f"host={pair.old.address}:{port}&host={pair.new.address}:{port}"
    with started(pair, f"postgresql://slipway@/{pair.database}?{hosts}") as server:
        async with load(server):
            await asyncio.to_thread(pair.old.set_read_only)
            await asyncio.to_thread(pair.new.promote)
            await heals(server)
        await serves(server, pair.new, pair.database)


@pytest.mark.suite
async def test_name_is_lost_for_a_while(pair: Pair) -> None:
    """While the name has no address, the database is away; it is back with the next address."""
    with started(pair) as server:
        async with load(server) as statuses:
            pair.name.move()
            await asyncio.to_thread(pair.old.kill)
            away = statuses[503]
            await until(lambda: statuses[503] > away + 5, 10)
            await asyncio.to_thread(pair.fail_over)
            await heals(server)
        await serves(server, pair.new, pair.database)


async def test_terminated_sessions_cost_nothing(pair: Pair) -> None:
    """Sessions that an administrator terminated while idle are replaced before a request gets them."""
    with started(pair) as server:
        for _ in range(5):
            await asyncio.gather(*(create(server.address(number % 2), new_name()) for number in range(20)))
            await asyncio.to_thread(pair.old.terminate_sessions)
            answers = [await create(server.address(number % 2), new_name()) for number in range(4)]

            assert Counter(answer.status for answer in answers) == {201: 4}


def test_connection_that_is_refused_costs_no_other(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the server has no connection left and refuses new ones, existing connections stay in use."""

    def full(*_: object, **__: object) -> NoReturn:
        raise TooManyConnections

    monkeypatch.setattr(engine_events, "STAY_SECONDS", 0.0)
    settings = AppSettings.from_environment({"DATABASE_URL": postgres.new_database()})
    engine = sync_engine(settings.database_url)
    with engine.connect() as one:
        process = one.scalar(SESSION)
        monkeypatch.setattr(BlockingConnection, "open", full)
        with pytest.raises(OperationalError):
            engine.connect()
    with engine.connect() as again:
        assert again.scalar(SESSION) == process
    engine.dispose()
