"""Units of work on SQLite, each run whole in a thread of few: one hop there and one back, whatever it asks.

Readers share some threads, and writers, of whom the file takes one at a time, have one of their own: a reader never
waits for them. Each thread keeps its connection.
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

JOIN_SECONDS = 1.0  # for a thread that is in the middle of something; as a daemon it holds up nothing after that


class Threads:
    """At most so many threads that each run one unit after the other; the first ones to be needed are started."""

    def __init__(self, name: str, most: int, connect: Callable[[], Connection], transaction: bool) -> None:
        self._name = name
        self._most = most
        self._connect = connect
        self._transaction = transaction
        self._queue: SimpleQueue[Unit[Any] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._open = 0  # units that are not settled; the loop alone counts

    async def run(self, function: Function[Result], arguments: tuple[Any, ...], seconds: float) -> Result:
        """Run it in one of the threads; TimeoutError, or a cancelled caller, gives it up."""
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
        """End the threads when they have run what waits."""
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
            connection.rollback()  # nothing was begun; so SQLAlchemy knows it, too


def _is_broken(error: BaseException) -> bool:
    """Whether another connection may do better: the file may be another one by now."""
    return isinstance(error, DBAPIError) and not isinstance(error, IntegrityError)


def _close(connection: Connection) -> None:
    with suppress(Exception):  # sqlite3 has errors of its own for a file that is gone
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
