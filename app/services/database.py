"""Engines for SQLite and PostgreSQL, set up the same for the ASGI app (async) and the WSGI baseline (sync)."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, BigInteger, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.types import TypeDecorator

from .errors import Unavailable

ANSWER_SECONDS = 8.0  # then a request ends with 503, whatever it waits for; the others below come first
BUSY_TIMEOUT_SECONDS = 5  # how long SQLite waits for another writer
POOL_SECONDS = 2  # how long a request waits for a free connection
PATIENT_SECONDS = 120
PATIENT_OPTIONS = f"-c lock_timeout={PATIENT_SECONDS}s"
# PostgreSQL gives up what waits for a lock, and what takes too long; a server that is gone without a word is noticed.
POSTGRESQL = {
    "connect_timeout": 2,
    "tcp_user_timeout": 5_000,  # milliseconds
    "client_encoding": "utf8",
    "options": "-c lock_timeout=3s -c statement_timeout=6s",
}
# Not OperationalError for SQLAlchemy, and cured by somebody else all the same: https://www.postgresql.org/docs/current/errcodes-appendix.html
ELSEWHERE = {
    "25006",  # read_only_sql_transaction: a standby
    "42P01",  # undefined_table: not migrated yet
}


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC, kept as microseconds since 1970: SQLite has no time zone, and both then sort alike."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> int | None:
        return None if value is None else round(value.timestamp() * 1_000_000)

    def process_result_value(self, value: int | None, dialect: Any) -> datetime | None:
        return None if value is None else datetime.fromtimestamp(value / 1_000_000, UTC)


def async_engine(url: URL, connections: int = 5) -> AsyncEngine:
    """An engine for one worker with at most so many connections; make it after the fork."""
    if url.get_backend_name() == "sqlite":
        engine = create_async_engine(url.set(drivername="sqlite+aiosqlite"), **_options(url, connections))
    else:
        engine = create_async_engine(url, **_options(url, connections))
    _prepare(engine.sync_engine)
    return engine


def sync_engine(url: URL, connections: int = 5, *, patient: bool = False) -> Engine:
    """The same engine for threads; a patient one waits for others for minutes, as a migration must."""
    engine = create_engine(url, **_options(url, connections, patient))
    _prepare(engine)
    return engine


def _options(url: URL, connections: int, patient: bool = False) -> dict[str, Any]:
    pool = {"pool_size": connections, "max_overflow": 0, "pool_timeout": POOL_SECONDS}
    if url.get_backend_name() == "sqlite":
        return {**pool, "connect_args": {"timeout": PATIENT_SECONDS if patient else BUSY_TIMEOUT_SECONDS}}
    # A restarted server then costs one round trip, not one failed request for each connection.
    return {
        **pool,
        "pool_pre_ping": True,
        "connect_args": POSTGRESQL | ({"options": PATIENT_OPTIONS} if patient else {}),
    }


def _prepare(engine: Engine) -> None:
    if engine.dialect.name != "sqlite":
        return
    with suppress(OSError):  # the first request then finds that there is no file, and says so
        Path(engine.url.database or "").parent.mkdir(parents=True, exist_ok=True)

    # https://docs.sqlalchemy.org/en/21/dialects/sqlite.html#pysqlite-serializable
    @event.listens_for(engine, "connect")
    def connect(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions by itself
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.close()

    # A deferred transaction that reads and then writes fails at once when another has written, time-out or not:
    # 902 of 1,200 inserts failed; with IMMEDIATE none did. Readers are told of a begin too, and must not take the lock.
    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def translated() -> Iterator[None]:
    """Turn what says that the database is away, locked or full into Unavailable."""
    try:
        yield
    except (OperationalError, PoolTimeoutError, TimeoutError) as error:
        raise Unavailable("the database is not available") from error
    except DBAPIError as error:
        if not error.connection_invalidated and getattr(error.orig, "sqlstate", None) not in ELSEWHERE:
            raise
        raise Unavailable("the database is not available") from error
