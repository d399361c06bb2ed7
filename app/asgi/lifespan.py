"""The lifespan as one async context manager: https://asgi.readthedocs.io/en/latest/specs/lifespan.html

The mapping it yields is added to `scope["state"]`. A failure is reported to the server and then raised: uvicorn's
default ("auto") takes an unreported failure for an app without lifespan support, and serves.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from .types import ASGIApp, Receive, Scope, Send

Context = Callable[[dict[str, Any]], AbstractAsyncContextManager[Mapping[str, Any]]]


class Lifespan:
    """Runs `context` for the worker's lifetime and passes all other scopes on to `app`.

    `context` gets the server's state and yields a mapping that is added to it.
    """

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self.app = app
        self.context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._run(scope.setdefault("state", {}), receive, send)
        else:
            await self.app(scope, receive, send)

    async def _run(self, state: dict[str, Any], receive: Receive, send: Send) -> None:
        phase = "startup"
        await receive()
        try:
            async with self.context(state) as added:
                state.update(added)
                await send({"type": "lifespan.startup.complete"})
                await receive()
                phase = "shutdown"
        except BaseException as error:
            await send({"type": f"lifespan.{phase}.failed", "message": f"{type(error).__name__}: {error}"})
            raise
        await send({"type": "lifespan.shutdown.complete"})
