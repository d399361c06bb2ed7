"""Middleware is plain ASGI; scope types that are not its own go through first.

A middleware with nothing to do afterwards returns the inner app's awaitable instead of awaiting it, and so does a
`send`: each saves a coroutine, of which a request would otherwise pass six.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from random import getrandbits
from time import perf_counter
from typing import Any

from .errors import Disconnected, HTTPError
from .response import Response
from .types import ASGIApp, Header, Message, Receive, Scope, Send
from .websocket import refuse

log = logging.getLogger("app")

SERVER_FAILED = 1011  # RFC 6455 section 7.4.1

KINDS = ("http", "websocket")
STARTS = frozenset({"http.response.start", "websocket.http.response.start", "websocket.accept"})
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class Exchange:
    """What is known of one request while it runs; `scope["exchange"]` holds it."""

    # Without the server's `send`, which knows the scope: a circle would leave each request to the garbage collector.
    __slots__ = ("_headers", "_id", "open", "sent", "started", "status")

    def __init__(self, headers: Sequence[Header], open_now: dict[str, int]) -> None:
        self._headers = headers
        self._id: bytes | None = None
        self.open = open_now  # how many of each kind the worker has under way, this one included
        self.started = perf_counter()
        self.status = 0  # 0 until the response has started; 101 for an accepted websocket
        self.sent = 0  # bytes of body

    @property
    def id(self) -> bytes:
        """The caller's `x-request-id` if it is a sane one, else one of ours; made when it is first asked for."""
        if self._id is None:
            given = next((value for name, value in self._headers if name == b"x-request-id"), b"")
            self._id = given if REQUEST_ID.fullmatch(given) else b"%032x" % getrandbits(128)
        return self._id

    @property
    def request_id(self) -> str:
        """The same for a text."""
        return self.id.decode()


Record = Callable[[Scope, Exchange], None]


class Exchanges:
    """Counts requests, and with a `record` gives each one's response an `x-request-id` and reports it when it is over.

    The same id is in every error's body.
    """

    def __init__(self, app: ASGIApp, record: Record | None = None) -> None:
        self.app = app
        self.record = record
        self._follow = _starts if record is None else _starts_with_id
        self.total = 0
        self.open = dict.fromkeys(KINDS, 0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (kind := scope["type"]) not in KINDS:
            return await self.app(scope, receive, send)
        exchange = scope["exchange"] = Exchange(scope["headers"], self.open)
        self.total += 1
        self.open[kind] += 1
        try:
            await self.app(scope, receive, self._follow(exchange, send))
        finally:
            self.open[kind] -= 1
            if self.record is not None:
                self.record(scope, exchange)


def _starts(exchange: Exchange, send: Send) -> Send:
    """A `send` that sees whether the response starts."""

    def follow(message: Message) -> Awaitable[None]:
        if message["type"] in STARTS:
            exchange.status = message.get("status", 101)
        return send(message)

    return follow


def _starts_with_id(exchange: Exchange, send: Send) -> Send:
    """The same; the response gets its id, and its body is counted."""

    def follow(message: Message) -> Awaitable[None]:
        if message["type"] in STARTS:
            exchange.status = message.get("status", 101)
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", exchange.id)]
        elif message["type"] == "http.response.body":
            exchange.sent += len(message.get("body", b""))
        return send(message)

    return follow


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
