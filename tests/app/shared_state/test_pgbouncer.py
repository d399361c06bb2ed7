"""PgBouncer with its defaults between the app and PostgreSQL: the app needs no setting for it."""

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
    "session": {"pool_mode": "session", "default_pool_size": "45"},  # one for each of the app's and one for a migration
}

# `make test` runs the most common pool mode, `make suites` all of them.
EACH_POOL = pytest.mark.parametrize("settings", walk(POOLS, "transaction"))


def limits(connection: Connection) -> tuple[str, str]:
    """Return the server's time limits for the session's statements."""
    lock, statement = connection.execute(text(LIMITS)).one()
    return lock, statement


@contextmanager
def behind(postgres: Postgres, settings: dict[str, str]) -> Iterator[tuple[str, PgBouncer]]:
    """Yield the address of an empty database through a PgBouncer, and the PgBouncer."""
    with servers.pgbouncer(postgres, **settings) as bouncer:
        yield bouncer.url(postgres.new_database()), bouncer


async def of_all_slots(server: Server, count: int, method: str, target: str) -> Counter[int]:
    """Return the statuses of this number of simultaneous requests to all workers."""

    async def ask(number: int) -> Answer:
        address = server.address(number % server.workers)
        return await (create(address, new_name()) if method == "POST" else request(address, method, target))

    return Counter(answer.status for answer in await asyncio.gather(*(ask(number) for number in range(count))))


@EACH_POOL
async def test_nothing_fails(postgres: Postgres, settings: dict[str, str]) -> None:
    """200 readers and 200 writers at a time, several times in a row, all succeed, and readiness too."""
    with behind(postgres, settings) as (url, _), serving(workers=2, DATABASE_URL=url) as server:
        for _ in range(ROUNDS):
            assert await of_all_slots(server, 200, "POST", "") == {201: 200}
            assert await of_all_slots(server, 200, "GET", "/api/users") == {200: 200}

        assert await of_all_slots(server, 20, "GET", "/readyz") == {200: 20}


@pytest.mark.parametrize("settings", walk(POOLS))
async def test_reload(postgres: Postgres, settings: dict[str, str]) -> None:
    """A reload replaces the workers and checks the schema again while other connections use the pool."""
    with behind(postgres, settings) as (url, _), serving(workers=2, DATABASE_URL=url) as server:
        assert await of_all_slots(server, 50, "POST", "") == {201: 50}

        assert (await server.reload())[0] == 0
        assert await of_all_slots(server, 50, "POST", "") == {201: 50}


@EACH_POOL
async def test_waiting_ends(postgres: Postgres, settings: dict[str, str]) -> None:
    """The server ends statements that wait for a lock or take too long, for readers and writers."""
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
    """The time limits of a transaction do not remain in the session for other programs that share the pool."""
    settings = {"pool_mode": "transaction", "default_pool_size": "1"}
    with behind(postgres, settings) as (url, _), serving(workers=1, DATABASE_URL=url) as server:
        assert await of_all_slots(server, 20, "POST", "") == {201: 20}
        assert await of_all_slots(server, 20, "GET", "/api/users") == {200: 20}
        with postgres.connect(url) as other:
            row = other.execute(LIMITS).fetchone()

        assert row == ("0", "0")


@pytest.mark.parametrize("settings", walk(POOLS))
def test_migrations_that_start_together(postgres: Postgres, settings: dict[str, str], tmp_path: Path) -> None:
    """Migrations started at the same time run one after the other, and none fails."""
    with behind(postgres, settings) as (url, _):
        migrate_at_once({"DATA_DIR": str(tmp_path), "DATABASE_URL": url})


@pytest.mark.suite
async def test_connections_are_not_counted(postgres: Postgres) -> None:
    """DATABASE_CONNECTIONS may exceed the server's connections, since a pooler accepts more than the server has."""
    with (
        behind(postgres, {"pool_mode": "transaction"}) as (url, _),
        serving(workers=2, DATABASE_URL=url, DATABASE_CONNECTIONS="300") as server,
    ):
        assert await of_all_slots(server, 50, "GET", "/api/users") == {200: 50}


async def test_statement_mode_is_refused(postgres: Postgres, folder: Path) -> None:
    """A pooler in statement mode, without transactions, is refused at the start in one line with the remedy."""
    with behind(postgres, {"pool_mode": "statement"}) as (url, _):
        server = Server(folder, DATABASE_URL=url)
        server.start()

        assert await server.exit_code(20) == 1
        (line,) = [line for line in server.messages() if line.startswith("DATABASE_URL")]
        assert line.endswith("let the pooler pool transactions or sessions (pool_mode of PgBouncer)")


async def test_session_mode_without_a_free_connection(postgres: Postgres, folder: Path) -> None:
    """If the pooler has no connection left, the start fails with one line that names it as the reason."""
    with behind(postgres, {"pool_mode": "session", "default_pool_size": "1"}) as (url, _):
        with postgres.connect(url) as other:
            other.execute("SELECT 1")
            server = Server(folder, DATABASE_URL=url)
            server.start()

            assert await server.exit_code(20) == 1
        (line,) = [line for line in server.messages() if line.startswith("DATABASE_URL")]
        assert "a pooler with all its connections in use" in line


async def test_pooler_is_restarted(postgres: Postgres) -> None:
    """A killed pooler causes 503s, and the app recovers by itself once it is back."""
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
    """`/readyz` reports also through the pooler that the server takes no writes."""
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
    """Wait until a user can be created, at most five seconds."""
    async with asyncio.timeout(HEAL_SECONDS):
        while (await create(address, new_name())).status != 201:
            await pause()
