"""Middleware is plain ASGI; scope types that are not its own go through first.

A middleware with nothing to do afterwards returns the inner app's awaitable instead of awaiting it, and so does a
`send`: each saves a coroutine, of which a request would otherwise pass six.
"""

import logging
import re
from collections.abc import Awaitable, Callable
from random import getrandbits
from time import perf_counter
from typing import Any

from .errors import Disconnected, HTTPError
from .response import Response
from .types import ASGIApp, Message, Receive, Scope, Send, header
from .websocket import refuse

log = logging.getLogger("app")

SERVER_FAILED = 1011  # RFC 6455 section 7.4.1

KINDS = ("http", "websocket")
STARTS = frozenset({"http.response.start", "websocket.http.response.start", "websocket.accept"})
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class Exchange:
    """What is known of one request while it runs; `scope["exchange"]` holds it."""

    __slots__ = ("_id", "open", "sent", "started", "status")

    def __init__(self, request_id: bytes, open_now: dict[str, int]) -> None:
        self._id = request_id
        self.open = open_now  # how many of each kind the worker has under way, this one included
        self.started = perf_counter()
        self.status = 0  # 0 until the response has started; 101 for an accepted websocket
        self.sent = 0  # bytes of body

    @property
    def request_id(self) -> str:
        """As it stands in the header `x-request-id`."""
        return self._id.decode()


Record = Callable[[Scope, Exchange], None]


class Exchanges:
    """Gives each request an id, the caller's if it is a sane one, and reports each one when it is over.

    The id comes back as `x-request-id`, and is in every error's body and in every record.
    """

    def __init__(self, app: ASGIApp, record: Record | None) -> None:
        self.app = app
        self.record = record
        self.total = 0
        self.open = dict.fromkeys(KINDS, 0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (kind := scope["type"]) not in KINDS:
            return await self.app(scope, receive, send)
        request_id = header(scope, b"x-request-id")
        if request_id is None or not REQUEST_ID.fullmatch(request_id):
            request_id = b"%032x" % getrandbits(128)
        exchange = scope["exchange"] = Exchange(request_id, self.open)

        def send_with_id(message: Message) -> Awaitable[None]:
            if message["type"] in STARTS:
                exchange.status = message.get("status", 101)
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id)]
            elif message["type"] == "http.response.body":
                exchange.sent += len(message.get("body", b""))
            return send(message)

        self.total += 1
        self.open[kind] += 1
        try:
            await self.app(scope, receive, send_with_id)
        finally:
            self.open[kind] -= 1
            if self.record is not None:
                self.record(scope, exchange)


class Errors:
    """Answers an exception as problem details: an HTTPError as it says, what `known` maps as that, the rest as 500.

    Once the response has started nothing can be answered: it is logged and raised, and the server cuts the connection;
    an accepted websocket is closed with 1011 first.
    """

    def __init__(self, app: ASGIApp, known: dict[type[Exception], Callable[[Any], HTTPError]] | None = None) -> None:
        self.app = app
        self.known = known or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        except Disconnected:
            pass  # nobody is left to answer
        except Exception as error:
            await self._answer(error, scope, receive, send)

    async def _answer(self, error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = scope["exchange"].request_id
        if scope["exchange"].status:
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
                reason, _, _ = str(error.__cause__ or error).partition("\n")  # a database's goes on with what was sent
                log.warning(reason, extra={"request_id": request_id})
                return translate(error)
        log.error("request failed", exc_info=error, extra={"request_id": request_id})
        return HTTPError(500, "The server failed; the request id finds the reason in its log.")


class Limits:
    """Refuses with 503 what is over the number of requests or websockets that one worker may have open.

    `exempt` paths (health checks) always pass, or an overloaded worker would be taken for a dead one.
    """

    def __init__(self, app: ASGIApp, *, requests: int, websockets: int, exempt: frozenset[str] = frozenset()) -> None:
        self.app = app
        self.most = {"http": requests, "websocket": websockets}
        self.exempt = exempt

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        kind = scope["type"]
        if kind in KINDS and scope["exchange"].open[kind] > self.most[kind] and scope["path"] not in self.exempt:
            raise HTTPError(503, "This worker has all that it can serve.", headers=[(b"retry-after", b"1")])
        return self.app(scope, receive, send)
