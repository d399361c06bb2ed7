"""A unit of work: one function that runs in a thread, and that its request may give up."""

import asyncio
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection

Result = TypeVar("Result")
Function = Callable[..., Result]

STEPS = 10_000  # of SQLite's virtual machine, about 0.1 ms, between checks whether the request has ended


class GivenUp(Exception):
    """The request has ended: its unit's writes are rolled back."""


class Unit(Generic[Result]):
    """One function that runs in a thread, and its result."""

    def __init__(self, function: Function[Result], arguments: tuple[Any, ...]) -> None:
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[Result] = self.loop.create_future()
        self._function = function
        self._arguments = arguments
        self.given_up = False

    def run(self, connection: Connection) -> Result:
        """Run the function, in the thread; raise GivenUp if the request has ended meanwhile."""
        driver: Any = connection.connection.driver_connection
        # Not Connection.interrupt, which has no effect between two statements and just before one.
        driver.set_progress_handler(lambda: self.given_up, STEPS)
        try:
            result = self._function(connection, *self._arguments)
        finally:
            driver.set_progress_handler(None, 0)  # a rollback that follows is not interrupted
        if self.given_up:
            raise GivenUp
        return result

    def give_up(self) -> None:
        """End a running statement soon and have the transaction rolled back; called in the loop."""
        self.given_up = True

    def settle(self, result: Any, error: BaseException | None) -> None:
        """Set the result or the error, once; called in the loop."""
        if self.done.done():
            return
        if error is None:
            self.done.set_result(result)
        else:
            self.done.set_exception(error)
