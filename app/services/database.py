"""Engines for SQLite and PostgreSQL, with the same setup for the ASGI app and the WSGI baseline."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, BigInteger, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.types import TypeDecorator

from .errors import Unavailable
from .journal import use_wal

ANSWER_SECONDS = 7.5  # a request ends with 503 within eight seconds, whatever it waits for
BUSY_TIMEOUT_SECONDS = 5  # how long SQLite waits for another writer
POOL_SECONDS = 4  # how long a request waits for a free connection; enough for a burst of hundreds
BLOCKING_POOL_SECONDS = 2  # the same for a thread; shorter, since a connect may follow that can't be cut short
PATIENT_SECONDS = 120
# PostgreSQL ends waits for locks, and statements that take too long, before ANSWER_SECONDS are over.
LIMITS = ("lock_timeout = '3s'", "statement_timeout = '6s'")
PATIENT_LIMITS = (f"lock_timeout = '{PATIENT_SECONDS}s'",)
# Causes outside the app, not OperationalError: https://www.postgresql.org/docs/current/errcodes-appendix.html
ELSEWHERE = {
    "25006",  # read_only_sql_transaction: a standby
    "42P01",  # undefined_table: not migrated yet
}


class UtcDateTime(TypeDecorator[datetime]):
    """A time in UTC, stored as microseconds since 1970: SQLite has no time zones, and both databases sort alike."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> int | None:
        return None if value is None else round(value.timestamp() * 1_000_000)

    def process_result_value(self, value: int | None, dialect: Any) -> datetime | None:
        return None if value is None else datetime.fromtimestamp(value / 1_000_000, UTC)


def sync_engine(url: URL, most: int = 5, *, patient: bool = False) -> Engine:
    """Return an engine for threads; a `patient` one waits up to PATIENT_SECONDS for locks, as a migration must."""
    options = engine_options(url, most, patient) | {"pool_timeout": BLOCKING_POOL_SECONDS}
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, **options)
        _prepare_sqlite(engine)
        return engine
    # Late, here and below: SQLite needs no PostgreSQL driver in memory.
    from .postgresql import connections, engine_events

    engine = create_engine(url, connect_args=connections.PARAMETERS, **options)
    engine_events.listen(engine, PATIENT_LIMITS if patient else LIMITS)
    return engine


def can_write(connection: Connection) -> bool:
    """Return whether the server takes writes, by its answer at this connection's checkout."""
    if connection.dialect.name == "sqlite":
        return True
    from .postgresql.engine_events import session_of

    return not session_of(connection).read_only


def is_pooled(connection: Connection) -> bool:
    """Return whether a pooler shares the server's sessions between its clients."""
    if connection.dialect.name == "sqlite":
        return False
    from .postgresql.engine_events import session_of

    return session_of(connection).pooled


def engine_options(url: URL, most: int, patient: bool = False) -> dict[str, Any]:
    """Return the options common to all engines."""
    pool: dict[str, Any] = {"pool_size": most, "max_overflow": 0, "pool_timeout": POOL_SECONDS}
    if url.get_backend_name() == "sqlite":
        pool["connect_args"] = {"timeout": PATIENT_SECONDS if patient else BUSY_TIMEOUT_SECONDS}
    return pool


def _prepare_sqlite(engine: Engine) -> None:
    with suppress(OSError):  # the first request then fails to open the file, and reports that
        Path(engine.url.database or "").parent.mkdir(parents=True, exist_ok=True)

    # https://docs.sqlalchemy.org/en/21/dialects/sqlite.html#pysqlite-serializable
    @event.listens_for(engine, "connect")
    def connect(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions by itself
        use_wal(connection, time.monotonic() + BUSY_TIMEOUT_SECONDS)

    # A deferred transaction that reads and then writes fails at once when another has written, whatever its time-out:
    # 902 of 1,200 inserts failed; with IMMEDIATE none did. Readers get this event too, and must not take the lock.
    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def translated() -> Iterator[None]:
    """Raise Unavailable for errors that mean that the database is away, locked or full."""
    try:
        yield
    except (OperationalError, PoolTimeoutError, TimeoutError) as error:
        raise Unavailable("the database is not available") from error
    except DBAPIError as error:
        if not error.connection_invalidated and getattr(error.orig, "sqlstate", None) not in ELSEWHERE:
            raise
        raise Unavailable("the database is not available") from error
