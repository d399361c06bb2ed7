"""Middleware as plain ASGI apps.

A middleware with nothing to do afterwards returns the inner app's awaitable instead of awaiting it, and so does a
`send`: each saves one coroutine. Otherwise a request would pass through six.
"""

import logging
from collections.abc import Callable
from typing import Any

from .errors import Disconnected, HTTPError
from .response import Response
from .types import ASGIApp, Receive, Scope, Send
from .websocket import refuse

log = logging.getLogger("app")

SERVER_FAILED = 1011  # RFC 6455 section 7.4.1


class Errors:
    """Answers an exception as problem details. HTTPError keeps its status; `known` translates others; the rest is 500.

    Once the response has started, the exception is logged and raised, and the server cuts the connection; on a
    websocket it is logged, and the websocket is closed with 1011.
    """

    def __init__(self, app: ASGIApp, known: dict[type[Exception], Callable[[Any], HTTPError]] | None = None) -> None:
        self.app = app
        self.known = known or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        except Disconnected:
            pass  # no client is left to answer
        except Exception as error:
            await self._answer(error, scope, receive, send)

    async def _answer(self, error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = scope["state"]["exchange"]
        request_id: str = exchange.request_id
        if exchange.status:
            log.error("failed after the response had started", exc_info=error, extra={"request_id": request_id})
            if scope["type"] == "http":
                raise error
            await send({"type": "websocket.close", "code": SERVER_FAILED})
            return
        response = Response.problem(self._problem(error, request_id), request_id)
        await (
            refuse(scope, receive, send, response) if scope["type"] == "websocket" else response(scope, receive, send)
        )

    def _problem(self, error: Exception, request_id: str) -> HTTPError:
        if isinstance(error, HTTPError):
            return error
        for kind, translate in self.known.items():
            if isinstance(error, kind):
                reason, _, _ = str(error.__cause__ or error).partition("\n")  # a database error's next lines are SQL
                log.warning(reason, extra={"request_id": request_id})
                return translate(error)
        log.error("request failed", exc_info=error, extra={"request_id": request_id})
        return HTTPError(500, "The server failed; the request id finds the reason in its log.")
