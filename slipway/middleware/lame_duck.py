"""Wraps an app whose server stops soon: its ready path fails for polling balancers, all other paths are served."""

import asyncio
from collections.abc import Collection

from slipway.middleware.problem import answer
from slipway.middleware.types import ASGIApp, Message, Receive, Scope, Send

STOPPING = "The server is about to stop."


class LameDuck:
    """Gives health checks a set `state["draining"]`; answers 503 for an app that reports ready all the same."""

    def __init__(self, app: ASGIApp, ready_path: str, health_paths: Collection[str]) -> None:
        self._app = app
        self._ready_path = ready_path
        self._health_paths = {ready_path, *health_paths}
        self._draining = asyncio.Event()
        self._draining.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope.get("path") not in self._health_paths:
            return await self._app(scope, receive, send)
        scope = {**scope, "state": {**scope.get("state", {}), "draining": self._draining}}
        if scope["path"] != self._ready_path:
            return await self._app(scope, receive, send)
        await self._not_ready(scope, receive, send)

    async def _not_ready(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on an error response, and replace any other with a 503."""
        replaced = False

        async def check(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and message["status"] < 400:
                replaced = True
                await answer(scope, send, 503, STOPPING, scope["state"]["request_id"])
            elif not replaced:
                await send(message)

        await self._app(scope, receive, check)
