"""A request while it runs: counted, given an id, followed to its answer's start, and recorded when it is over."""

import re
from collections.abc import Awaitable, Callable, Sequence
from random import getrandbits
from time import perf_counter

from .types import ASGIApp, Header, Message, Receive, Scope, Send

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
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self.id)]
        elif message["type"] == "http.response.body":
            self.sent += len(message.get("body", b""))
        return super().send(message)


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
