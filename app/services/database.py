"""Engines for SQLite and PostgreSQL, set up the same for the ASGI app (async) and the WSGI baseline (sync)."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, BigInteger, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.types import TypeDecorator

from .errors import Unavailable

BUSY_TIMEOUT_SECONDS = 5  # how long a writer waits for another one before the request ends with 503
POOL: dict[str, Any] = {
    "pool_size": 5,  # per worker; workers x pool_size must stay below PostgreSQL's max_connections (100)
    "max_overflow": 0,
    "pool_timeout": 2,  # seconds; then the request ends with 503
    "pool_pre_ping": True,  # a restarted server costs one round trip, not one failed request per connection
}


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC, kept as microseconds since 1970: SQLite has no time zone, and both then sort alike."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> int | None:
        return None if value is None else round(value.timestamp() * 1_000_000)

    def process_result_value(self, value: int | None, dialect: Any) -> datetime | None:
        return None if value is None else datetime.fromtimestamp(value / 1_000_000, UTC)


def async_engine(url: URL) -> AsyncEngine:
    """An engine for one worker; make it after the fork."""
    if url.get_backend_name() == "sqlite":
        engine = create_async_engine(url.set(drivername="sqlite+aiosqlite"), **_options(url))
    else:
        engine = create_async_engine(url, **_options(url))
    _prepare(engine.sync_engine)
    return engine


def sync_engine(url: URL) -> Engine:
    """The same engine for threads."""
    engine = create_engine(url, **_options(url))
    _prepare(engine)
    return engine


def _options(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
        return {**POOL, "pool_pre_ping": False, "connect_args": {"timeout": BUSY_TIMEOUT_SECONDS}}
    return {**POOL, "connect_args": {"connect_timeout": 2, "client_encoding": "utf8"}}


def _prepare(engine: Engine) -> None:
    if engine.dialect.name != "sqlite":
        return

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
    except (OperationalError, PoolTimeoutError) as error:
        raise Unavailable("the database is not available") from error
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise Unavailable("the database is not available") from error
