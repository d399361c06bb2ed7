"""A unit of work: one function on its way to a thread and back, which its request may give up."""

import asyncio
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection

Result = TypeVar("Result")
Function = Callable[..., Result]

STEPS = 10_000  # of SQLite's machine, some 0.1 ms, after which a statement sees whether its request has ended


class GivenUp(Exception):
    """The request is over: what its unit has written is undone."""


class Unit(Generic[Result]):
    """One function on its way to a thread and back."""

    def __init__(self, function: Function[Result], arguments: tuple[Any, ...]) -> None:
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[Result] = self.loop.create_future()
        self._function = function
        self._arguments = arguments
        self.given_up = False

    def run(self, connection: Connection) -> Result:
        """Called in the thread; raises GivenUp if the request has ended meanwhile."""
        driver: Any = connection.connection.driver_connection
        # Not Connection.interrupt, which has no effect between two statements and just before one.
        driver.set_progress_handler(lambda: self.given_up, STEPS)
        try:
            result = self._function(connection, *self._arguments)
        finally:
            driver.set_progress_handler(None, 0)  # what follows, a rollback, is whole
        if self.given_up:
            raise GivenUp
        return result

    def give_up(self) -> None:
        """Called in the loop: a statement that runs ends soon, and nothing of a transaction is kept."""
        self.given_up = True

    def settle(self, result: Any, error: BaseException | None) -> None:
        """Called in the loop."""
        if self.done.done():
            return
        if error is None:
            self.done.set_result(result)
        else:
            self.done.set_exception(error)
