"""psycopg connections whose waits are all bounded, for threads and for the event loop."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, Self

import psycopg
from psycopg import waiting
from psycopg.abc import RV, PQGen
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGconn

from ..deadline import earlier
from .session import Session, greet, ping

PARAMETERS: dict[str, Any] = {
    "connect_timeout": 2,  # seconds, for each address of the host name
    "tcp_user_timeout": 5_000,  # milliseconds; detects a server that has vanished
    "client_encoding": "utf8",
}
WRITABLE = {"target_session_attrs": "read-write"}
PING_SECONDS = 2.0  # for a query that needs no work
SILENT = "connected and got no answer: it is stuck, or a pooler with all its connections in use"
INTERVAL_SECONDS = 0.1  # psycopg's default, between checks for signals


class BlockingConnection(psycopg.Connection[Any]):
    """A connection for threads. A wait that ends before the answer closes the connection, which is then unusable."""

    session: Session

    @classmethod
    def open(cls, limits: Sequence[str], *arguments: Any, **parameters: Any) -> Self:
        """Connect to a server that takes writes; if the address leads to none, to a read-only one."""
        connection = cls._greeted(limits, *arguments, **parameters)
        if connection.session.read_only:
            with suppress(psycopg.OperationalError):
                better = cls._greeted(limits, *arguments, **{**parameters, **WRITABLE})
                connection.close()
                return better
        return connection

    @classmethod
    def _greeted(cls, limits: Sequence[str], *arguments: Any, **parameters: Any) -> Self:
        begun = monotonic()
        connection = cls.connect(*arguments, **parameters)
        try:
            connection.session = connection.wait(greet(connection.pgconn, limits, begun), timeout=PING_SECONDS)
        except BaseException as error:
            connection.close()
            if is_silent(error):
                raise psycopg.OperationalError(SILENT) from error
            raise
        if connection.session.pooled:
            connection.prepare_threshold = None
        return connection

    def ping(self) -> None:
        self.wait(ping(self.pgconn, self.session), timeout=PING_SECONDS)

    def wait(self, gen: PQGen[RV], interval: float = INTERVAL_SECONDS, timeout: float | None = None) -> RV:
        try:
            return waiting.wait(gen, self.pgconn.socket, interval=interval, timeout=earlier(timeout))
        except BaseException:
            close_if_active(self.pgconn)
            raise


class AsyncConnection(psycopg.AsyncConnection[Any]):
    """A connection for the event loop. psycopg's own, when cancelled, waits up to 10 s for the server to cancel."""

    session: Session

    @classmethod
    async def open(cls, limits: Sequence[str], *arguments: Any, **parameters: Any) -> Self:
        connection = await cls._greeted(limits, *arguments, **parameters)
        if connection.session.read_only:
            with suppress(psycopg.OperationalError):
                better = await cls._greeted(limits, *arguments, **{**parameters, **WRITABLE})
                await connection.close()
                return better
        return connection

    @classmethod
    async def _greeted(cls, limits: Sequence[str], *arguments: Any, **parameters: Any) -> Self:
        begun = monotonic()
        connection = await cls.connect(*arguments, **parameters)
        try:
            connection.session = await connection.wait(greet(connection.pgconn, limits, begun), timeout=PING_SECONDS)
        except BaseException as error:
            await connection.close()
            if is_silent(error):
                raise psycopg.OperationalError(SILENT) from error
            raise
        if connection.session.pooled:
            connection.prepare_threshold = None
        return connection

    async def ping(self) -> None:
        await self.wait(ping(self.pgconn, self.session), timeout=PING_SECONDS)

    async def rollback(self) -> None:
        """Roll back within PING_SECONDS: SQLAlchemy shields this from the request's time-out."""
        try:
            async with asyncio.timeout(PING_SECONDS):
                await super().rollback()
        except TimeoutError:
            raise psycopg.OperationalError("no answer to a rollback") from None

    async def wait(  # psycopg's signature
        self,
        gen: PQGen[RV],
        interval: float = INTERVAL_SECONDS,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> RV:
        try:
            return await waiting.wait_async(gen, self.pgconn.socket, interval=interval, timeout=timeout)
        except BaseException:
            close_if_active(self.pgconn)
            raise


def is_silent(error: BaseException) -> bool:
    """Return whether a connected server has given no answer: an error that it sends has an SQLSTATE."""
    return isinstance(error, psycopg.OperationalError) and error.sqlstate is None


def close_if_active(pgconn: PGconn) -> None:
    """Close a connection after a wait was given up: while an answer is due, it takes no other query."""
    if pgconn.transaction_status == TransactionStatus.ACTIVE:
        pgconn.finish()
