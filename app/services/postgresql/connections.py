"""Connections whose waits all end: psycopg's, for threads and for the event loop."""

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
    "connect_timeout": 2,  # seconds, for each address of the name
    "tcp_user_timeout": 5_000,  # milliseconds; a server that is gone without a word is noticed
    "client_encoding": "utf8",
}
WRITABLE = {"target_session_attrs": "read-write"}
PING_SECONDS = 2.0  # for a server that has nothing to do but answer
SILENT = "connected and got no answer: it is stuck, or a pooler with all its connections in use"
INTERVAL_SECONDS = 0.1  # psycopg's own, between looks at signals


class BlockingConnection(psycopg.Connection[Any]):
    """For threads. A wait that ends before its answer closes the connection, which is of no more use."""

    session: Session

    @classmethod
    def open(cls, limits: Sequence[str], *arguments: Any, **parameters: Any) -> Self:
        """Connect to a server that takes writes; if the address has none, to one that does not."""
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
    """The same for the event loop. psycopg, when cancelled, would wait ten seconds for the server to cancel, too."""

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
        """In bounded time of its own: SQLAlchemy shields it from the end of the request."""
        try:
            async with asyncio.timeout(PING_SECONDS):
                await super().rollback()
        except TimeoutError:
            raise psycopg.OperationalError("no answer to a rollback") from None

    async def wait(  # as psycopg has it
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
    """Whether the server that has let us in did not answer then, in words of its own."""
    return isinstance(error, psycopg.OperationalError) and error.sqlstate is None


def close_if_active(pgconn: PGconn) -> None:
    """After a wait that was given up: as long as an answer is to come, nothing else can be asked."""
    if pgconn.transaction_status == TransactionStatus.ACTIVE:
        pgconn.finish()
