"""What the app does for a request where the server does not: give it an id, follow its answer, count it."""

import re
from collections.abc import Awaitable, Sequence
from random import getrandbits

from .types import ASGIApp, Header, Message, Receive, Scope, Send

KINDS = ("http", "websocket")
STARTS = frozenset({"http.response.start", "websocket.http.response.start", "websocket.accept"})
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class StandaloneExchange:
    """The id of one request and the status of its answer; `scope["state"]["exchange"]` holds it."""

    __slots__ = ("_send", "request_id", "status")

    def __init__(self, headers: Sequence[Header], send: Send) -> None:
        self._send = send
        self.request_id = _given_id(headers) or f"{getrandbits(128):032x}"
        self.status = 0  # 0 until the response has started; 101 for an accepted websocket

    def send(self, message: Message) -> Awaitable[None]:
        """Pass a message on to the server, the first one with the request id."""
        if message["type"] in STARTS:
            self.status = message.get("status", 101)
            headers = [*message.get("headers", ()), (b"x-request-id", self.request_id.encode())]
            message = {**message, "headers": headers}
        return self._send(message)


class Standalone:
    """Gives each request a StandaloneExchange where the server has given none: under uvicorn alone, for one.

    A server that has one says so by `scope["state"]["exchange"]`, with the same `request_id` and `status`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.total = 0
        self.active = 0
        self.reloads = None  # nothing here knows of any

    def durations(self) -> tuple[Sequence[float], Sequence[float]]:
        """Nothing is measured."""
        return (), ()

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if "exchange" in scope.get("state", ()) or scope["type"] not in KINDS:
            return self.app(scope, receive, send)
        return self._call(scope, receive, send)

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = scope.setdefault("state", {})["exchange"] = StandaloneExchange(scope["headers"], send)
        self.total += 1
        self.active += 1
        try:
            await self.app(scope, receive, exchange.send)
        finally:
            self.active -= 1
            exchange._send = _too_late  # the server's knows the scope: a circle would be left to the collector


async def _too_late(message: Message) -> None:
    raise RuntimeError(f"{message['type']!r} is sent, but the app has returned")


def _given_id(headers: Sequence[Header]) -> str | None:
    """The caller's `x-request-id` if it is a sane one."""
    for name, value in headers:
        if name == b"x-request-id":
            return value.decode() if REQUEST_ID.fullmatch(value) else None
    return None
