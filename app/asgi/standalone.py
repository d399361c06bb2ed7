"""Request ids, response status and request counts under a server that does not provide them."""

import re
from collections.abc import Awaitable, Sequence
from random import getrandbits

from .types import ASGIApp, Header, Message, Receive, Scope, Send

KINDS = ("http", "websocket")
STARTS = frozenset({"http.response.start", "websocket.http.response.start", "websocket.accept"})
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class StandaloneExchange:
    """The id of one request and the status of its response; stored in `scope["state"]["exchange"]`."""

    __slots__ = ("_send", "request_id", "status")

    def __init__(self, headers: Sequence[Header], send: Send) -> None:
        self._send = send
        self.request_id = _given_id(headers) or f"{getrandbits(128):032x}"
        self.status = 0  # 0 until the response has started; 101 for an accepted websocket

    def send(self, message: Message) -> Awaitable[None]:
        """Pass a message on to the server; add the request id to the first one."""
        if message["type"] in STARTS:
            self.status = message.get("status", 101)
            headers = [*message.get("headers", ()), (b"x-request-id", self.request_id.encode())]
            message = {**message, "headers": headers}
        return self._send(message)


class Standalone:
    """Gives each request a StandaloneExchange if the server has provided none, as under plain uvicorn.

    A server provides its own in `scope["state"]["exchange"]`, with the same `request_id` and `status`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.total = 0
        self.active = 0
        self.reloads = None  # not known here

    def durations(self) -> tuple[Sequence[float], Sequence[float]]:
        """Return no durations: they are not measured here."""
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
            exchange._send = _too_late  # the server's `send` refers to the scope: breaks the cycle


async def _too_late(message: Message) -> None:
    raise RuntimeError(f"{message['type']!r} is sent, but the app has returned")


def _given_id(headers: Sequence[Header]) -> str | None:
    """Return the client's `x-request-id` if it is well-formed."""
    for name, value in headers:
        if name == b"x-request-id":
            return value.decode() if REQUEST_ID.fullmatch(value) else None
    return None
