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
    """What is known of one request while it runs, from what the app sends through it; `scope["exchange"]` holds it."""

    __slots__ = ("_headers", "_id", "_send", "open", "sent", "started", "status")

    def __init__(self, headers: Sequence[Header], send: Send, open_now: dict[str, int]) -> None:
        self._headers = headers
        self._id: bytes | None = None
        self._send = send
        self.open = open_now  # how many of each kind the worker has under way, this one included
        self.started = perf_counter()
        self.status = 0  # 0 until the response has started; 101 for an accepted websocket
        self.sent = 0  # bytes of body, counted where a record is kept

    def send(self, message: Message) -> Awaitable[None]:
        if message["type"] in STARTS:
            self.status = message.get("status", 101)
        return self._send(message)

    def end(self) -> None:
        """Forget the server's `send`, which knows the scope: a circle would leave each request to the collector."""
        self._send = _too_late

    @property
    def id(self) -> bytes:
        """The caller's `x-request-id` if it is a sane one, else one of ours; made when it is first asked for."""
        if self._id is None:
            self._id = _given_id(self._headers) or getrandbits(128).to_bytes(16).hex().encode()
        return self._id

    @property
    def request_id(self) -> str:
        """The same for a text."""
        return self.id.decode()


async def _too_late(message: Message) -> None:
    raise RuntimeError(f"{message['type']!r} is sent, but the app has returned")


def _given_id(headers: Sequence[Header]) -> bytes | None:
    for name, value in headers:
        if name == b"x-request-id":
            return value if REQUEST_ID.fullmatch(value) else None
    return None


class RecordedExchange(Exchange):
    """Gives the response its `x-request-id` and counts its bytes."""

    __slots__ = ()

    def send(self, message: Message) -> Awaitable[None]:
        if message["type"] in STARTS:
            self.status = message.get("status", 101)
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self.id)]
        elif message["type"] == "http.response.body":
            self.sent += len(message.get("body", b""))
        return self._send(message)


Record = Callable[[Scope, Exchange], None]


class Exchanges:
    """Counts requests, and with a `record` gives each one's response an `x-request-id` and reports it when it is over.

    The same id is in every error's body.
    """

    def __init__(self, app: ASGIApp, record: Record | None = None) -> None:
        self.app = app
        self.record = record
        self._exchange = Exchange if record is None else RecordedExchange
        self.total = 0
        self.open = dict.fromkeys(KINDS, 0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (kind := scope["type"]) not in KINDS:
            return await self.app(scope, receive, send)
        open_now = self.open
        exchange = scope["exchange"] = self._exchange(scope["headers"], send, open_now)
        self.total += 1
        open_now[kind] += 1
        try:
            await self.app(scope, receive, exchange.send)
        finally:
            open_now[kind] -= 1
            exchange.end()
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
