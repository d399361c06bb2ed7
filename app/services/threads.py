"""A small pool of threads for SQLite. A unit of work runs whole in one thread: one hop there and one hop back.

Readers share some threads. Writers, of which the file takes one at a time, have a thread of their own, so that readers
never wait for them. Each thread keeps its connection.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError

from .unit import Function, Result, Unit

JOIN_SECONDS = 1.0  # for a busy thread to end; as a daemon it does not delay the exit any further


class Threads:
    """At most `most` threads, each running one unit after the other; a thread is started when it is needed."""

    def __init__(self, name: str, most: int, connect: Callable[[], Connection], transaction: bool) -> None:
        self._name = name
        self._most = most
        self._connect = connect
        self._transaction = transaction
        self._queue: SimpleQueue[Unit[Any] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._open = 0  # units that `run` waits for; changed in the event loop only

    async def run(self, function: Function[Result], arguments: tuple[Any, ...], seconds: float) -> Result:
        """Run a function in one of the threads; give it up on TimeoutError, or if the caller is cancelled."""
        unit = Unit(function, arguments)
        self._open += 1
        if self._open > len(self._threads) < self._most:
            self._start()
        self._queue.put(unit)
        timer = unit.loop.call_later(seconds, unit.settle, None, TimeoutError())
        try:
            return await unit.done
        except (TimeoutError, asyncio.CancelledError):
            unit.give_up()
            raise
        finally:
            timer.cancel()
            self._open -= 1

    async def close(self) -> None:
        """End the threads once they have run the queued units."""
        for _ in self._threads:
            self._queue.put(None)
        await asyncio.to_thread(self._join)

    def _join(self) -> None:
        for thread in self._threads:
            thread.join(JOIN_SECONDS)

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _work(self) -> None:
        connection: Connection | None = None
        while (unit := self._queue.get()) is not None:
            if unit.given_up:
                continue
            result, error = None, None
            try:
                connection = connection or self._connect()
                result = self._run(unit, connection)
            except BaseException as raised:
                error = raised
                if connection is not None and _is_broken(raised):
                    _close(connection)
                    connection = None
            with suppress(RuntimeError):  # the loop is closed
                unit.loop.call_soon_threadsafe(unit.settle, result, error)
            del unit, result, error
        if connection is not None:
            _close(connection)

    def _run(self, unit: Unit[Result], connection: Connection) -> Result:
        if self._transaction:
            with connection.begin():
                return unit.run(connection)
        try:
            return unit.run(connection)
        finally:
            connection.rollback()  # ends SQLAlchemy's transaction; the database has none


def _is_broken(error: BaseException) -> bool:
    """Return whether a new connection may help: the file may have been replaced."""
    return isinstance(error, DBAPIError) and not isinstance(error, IntegrityError)


def _close(connection: Connection) -> None:
    with suppress(Exception):  # sqlite3 raises errors of its own if the file is gone
        connection.invalidate()
    with suppress(Exception):
        connection.close()


class SqliteThreads:
    """The threads of one engine."""

    def __init__(self, engine: Engine, most: int) -> None:
        self._engine = engine
        reading = engine.execution_options(isolation_level="AUTOCOMMIT")
        self.readers = Threads("sqlite-reader", max(1, most - 1), reading.connect, transaction=False)
        self.writer = Threads("sqlite-writer", 1, engine.connect, transaction=True)

    async def close(self) -> None:
        await self.readers.close()
        await self.writer.close()
        self._engine.dispose()
