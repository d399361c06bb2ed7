"""Serves the app below ROOT_PATH, its `root_path`; requests for other paths do not reach the app."""

from collections.abc import Awaitable

from slipway.middleware.problem import answer
from slipway.middleware.types import ASGIApp, Receive, Scope, Send

OUTSIDE = "There is nothing at this path."


class Root:
    """Gives requests below the prefix their `root_path`; `path` stays whole, as ASGI requires.

    https://asgi.readthedocs.io/en/latest/specs/www.html#http-connection-scope
    """

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self.app = app
        self.prefix = prefix

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] in ("http", "websocket"):
            path = scope["path"]
            if path != self.prefix and not path.startswith(f"{self.prefix}/"):
                return _refuse(scope, receive, send)
            scope["root_path"] = self.prefix
        return self.app(scope, receive, send)


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()  # websocket.connect
    await answer(scope, send, 404, OUTSIDE, scope["state"]["request_id"])
