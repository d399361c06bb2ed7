"""Users on PostgreSQL, for the event loop. SQLAlchemy's asyncio part loads its ORM, a third of the app's import."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from ..database import ANSWER_SECONDS, LIMITS, engine_options, translated
from . import connections, engine_events

Result = TypeVar("Result")


def async_engine(url: URL, most: int = 5) -> AsyncEngine:
    """Return an engine for PostgreSQL and one worker with at most `most` connections; call it after the fork."""
    options = engine_options(url, most)
    options["connect_args"] = connections.PARAMETERS | {
        "async_creator_fn": partial(connections.AsyncConnection.open, LIMITS)
    }
    engine = create_async_engine(url, **options)
    engine_events.listen(engine.sync_engine, LIMITS)
    return engine


class AsyncUsers:
    """Users on PostgreSQL, for the event loop."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._reading = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def read(self, function: Callable[..., Result], *arguments: Any) -> Result:
        with translated():
            async with asyncio.timeout(ANSWER_SECONDS), self._reading.connect() as connection:
                return await connection.run_sync(function, *arguments)

    async def write(self, function: Callable[..., Result], *arguments: Any) -> Result:
        with translated():
            async with asyncio.timeout(ANSWER_SECONDS), self._engine.begin() as connection:
                return await connection.run_sync(function, *arguments)

    async def close(self) -> None:
        await self._engine.dispose()
