"""PgBouncer between the app and PostgreSQL, with its defaults: nothing has to be set for it."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from app.config import AppSettings
from app.migrate import migrate
from app.services.database import sync_engine
from app.services.users import BlockingUsers, open_users
from tests.app.shared_state.stacks import create, is_unavailable, new_name
from tests.app.shared_state.test_users import HEAL_SECONDS, migrate_at_once
from tests.harness import servers
from tests.harness.client import Address, Answer, request
from tests.harness.processes import pause
from tests.harness.servers import PgBouncer, Postgres
from tests.harness.stack import Server, serving
from tests.harness.walks import walk

ROUNDS = 3
LIMITS = "SELECT current_setting('lock_timeout'), current_setting('statement_timeout')"
POOLS = {
    "transaction": {"pool_mode": "transaction"},
    "transaction, fewer connections than ours": {"pool_mode": "transaction", "default_pool_size": "8"},
    "transaction, options ignored": {"pool_mode": "transaction", "ignore_startup_parameters": "options"},
    "session": {"pool_mode": "session", "default_pool_size": "45"},  # one for each of ours, and for a migration
}

# `make test` has the one that most use, `make suites` all.
EACH_POOL = pytest.mark.parametrize("settings", walk(POOLS, "transaction"))


def limits(connection: Connection) -> tuple[str, str]:
    """What the server holds the session's statements to."""
    lock, statement = connection.execute(text(LIMITS)).one()
    return lock, statement


@contextmanager
def behind(postgres: Postgres, settings: dict[str, str]) -> Iterator[tuple[str, PgBouncer]]:
    """The address of an empty database through a PgBouncer."""
    with servers.pgbouncer(postgres, **settings) as bouncer:
        yield bouncer.url(postgres.new_database()), bouncer


async def of_all_slots(server: Server, count: int, method: str, target: str) -> Counter[int]:
    """The statuses of so many requests at once."""

    async def ask(number: int) -> Answer:
        address = server.address(number % server.workers)
        return await (create(address, new_name()) if method == "POST" else request(address, method, target))

    return Counter(answer.status for answer in await asyncio.gather(*(ask(number) for number in range(count))))


@EACH_POOL
async def test_nothing_fails(postgres: Postgres, settings: dict[str, str]) -> None:
    """200 that read and 200 that write at once, again and again: schema, users and readiness are as without it."""
    with behind(postgres, settings) as (url, _), serving(workers=2, DATABASE_URL=url) as server:
        for _ in range(ROUNDS):
            assert await of_all_slots(server, 200, "POST", "") == {201: 200}
            assert await of_all_slots(server, 200, "GET", "/api/users") == {200: 200}

        assert await of_all_slots(server, 20, "GET", "/readyz") == {200: 20}


@pytest.mark.parametrize("settings", walk(POOLS))
async def test_reload(postgres: Postgres, settings: dict[str, str]) -> None:
    """Workers are replaced, and the schema looked at again, while others use the pool."""
    with behind(postgres, settings) as (url, _), serving(workers=2, DATABASE_URL=url) as server:
        assert await of_all_slots(server, 50, "POST", "") == {201: 50}

        assert (await server.reload())[0] == 0
        assert await of_all_slots(server, 50, "POST", "") == {201: 50}


@EACH_POOL
async def test_waiting_ends(postgres: Postgres, settings: dict[str, str]) -> None:
    """The server gives up what waits for a lock, and what takes too long, for readers and writers."""
    with behind(postgres, settings) as (url, _):
        address = AppSettings.from_environment({"DATABASE_URL": url}).database_url
        migrate(address)
        store = open_users(address)
        engine = sync_engine(address)
        blocking = BlockingUsers(engine)
        for _ in range(3):
            for call in (store.read, store.write):
                assert await call(limits) == ("3s", "6s")
            assert blocking.read(limits) == blocking.write(limits) == ("3s", "6s")
        await store.close()
        engine.dispose()


async def test_limits_stay_ours(postgres: Postgres) -> None:
    """What is set for a transaction is not left behind for other programs that share the pool."""
    settings = {"pool_mode": "transaction", "default_pool_size": "1"}
    with behind(postgres, settings) as (url, _), serving(workers=1, DATABASE_URL=url) as server:
        assert await of_all_slots(server, 20, "POST", "") == {201: 20}
        assert await of_all_slots(server, 20, "GET", "/api/users") == {200: 20}
        with postgres.connect(url) as other:
            row = other.execute(LIMITS).fetchone()

        assert row == ("0", "0")


@pytest.mark.parametrize("settings", walk(POOLS))
def test_migrations_that_start_together(postgres: Postgres, settings: dict[str, str], tmp_path: Path) -> None:
    """One migrates after the other, and none fails."""
    with behind(postgres, settings) as (url, _):
        migrate_at_once({"DATA_DIR": str(tmp_path), "DATABASE_URL": url})


@pytest.mark.suite
async def test_connections_are_not_counted(postgres: Postgres) -> None:
    """A pooler has more connections for us than the server has: DATABASE_CONNECTIONS may be above that."""
    with (
        behind(postgres, {"pool_mode": "transaction"}) as (url, _),
        serving(workers=2, DATABASE_URL=url, DATABASE_CONNECTIONS="300") as server,
    ):
        assert await of_all_slots(server, 50, "GET", "/api/users") == {200: 50}


async def test_statement_mode_is_refused(postgres: Postgres, folder: Path) -> None:
    """A pooler without transactions is refused at the start, in one line that says what to do."""
    with behind(postgres, {"pool_mode": "statement"}) as (url, _):
        server = Server(folder, DATABASE_URL=url)
        server.start()

        assert await server.exit_code(20) == 1
        (line,) = [line for line in server.messages() if line.startswith("DATABASE_URL")]
        assert line.endswith("let the pooler pool transactions or sessions (pool_mode of PgBouncer)")


async def test_session_mode_without_a_free_connection(postgres: Postgres, folder: Path) -> None:
    """A pooler that has no connection left is named as the reason, in one line, by what could not start."""
    with behind(postgres, {"pool_mode": "session", "default_pool_size": "1"}) as (url, _):
        with postgres.connect(url) as other:
            other.execute("SELECT 1")
            server = Server(folder, DATABASE_URL=url)
            server.start()

            assert await server.exit_code(20) == 1
        (line,) = [line for line in server.messages() if line.startswith("DATABASE_URL")]
        assert "a pooler with all its connections in use" in line


async def test_pooler_is_restarted(postgres: Postgres) -> None:
    """A pooler that was killed costs 503s, and heals by itself."""
    with (
        behind(postgres, {"pool_mode": "transaction"}) as (url, bouncer),
        serving(workers=2, DATABASE_URL=url) as server,
    ):
        assert await of_all_slots(server, 50, "POST", "") == {201: 50}
        bouncer.kill()
        away = await create(server.address(), new_name())
        bouncer.start()
        await until_created(server.address())

        assert is_unavailable(away)
        assert await of_all_slots(server, 50, "POST", "") == {201: 50}


@pytest.mark.suite
async def test_read_only_server_behind_it(postgres: Postgres) -> None:
    """`/readyz` tells through the pooler, too, that the server takes no writes."""
    with (
        servers.postgres() as own,
        behind(own, {"pool_mode": "transaction"}) as (url, _),
        serving(workers=1, DATABASE_URL=url) as server,
    ):
        await asyncio.to_thread(own.set_read_only)
        async with asyncio.timeout(HEAL_SECONDS):
            while (ready := await request(server.address(), "GET", "/readyz")).status == 200:
                await pause()
        read = await request(server.address(), "GET", "/api/users")

        assert json.loads(ready.body)["checks"]["database"] == "fail"
        assert is_unavailable(await create(server.address(), new_name()))
        assert read.status == 200


async def until_created(address: Address) -> None:
    """A user is created within five seconds."""
    async with asyncio.timeout(HEAL_SECONDS):
        while (await create(address, new_name())).status != 201:
            await pause()
