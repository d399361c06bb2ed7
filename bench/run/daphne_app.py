"""The app for daphne, which has no lifespan (https://github.com/django/daphne/issues/264).

The first request starts the app. The app is never shut down, since daphne does not announce its end.
"""

import asyncio
import atexit
from contextlib import AsyncExitStack
from typing import Any

from app.asgi.types import Receive, Scope, Send
from bench.run.counted_app import lifespan, standalone
from bench.run.counters import save_count


class LazyLifespan:
    """Starts the app's lifespan at the first request and keeps it open."""

    def __init__(self) -> None:
        self._starting: asyncio.Task[dict[str, Any]] | None = None
        self._held = AsyncExitStack()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._starting = self._starting or asyncio.create_task(self._start())
        scope["state"] = dict(await self._starting)
        await standalone(scope, receive, send)

    async def _start(self) -> dict[str, Any]:
        return dict(await self._held.enter_async_context(lifespan.context({})))


application = LazyLifespan()
atexit.register(lambda: save_count(standalone.total))
