"""The app for servers that give no hook at a worker's end: its lifespan's end leaves the number of requests served.

It stands around the lifespan alone, so that a request passes no more than it does under the other arms.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

from app.asgi.lifespan import Lifespan
from app.asgi.standalone import Standalone
from app.main import application as shipped
from bench.run.counters import leave

lifespan = cast(Lifespan, shipped)
standalone = cast(Standalone, lifespan.app)


@asynccontextmanager
async def counted(state: dict[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
    """The app's own lifespan, and its count at the end."""
    async with lifespan.context(state) as added:
        yield added
    leave(standalone.total)


application = Lifespan(standalone, counted)
