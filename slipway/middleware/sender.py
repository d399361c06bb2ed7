"""Tells an exchange what its app sends, where the server does not do that itself."""

from collections.abc import Awaitable

from slipway.middleware.exchange import START, Exchange, StreamRefused
from slipway.middleware.types import Message, Send

BODY = "http.response.body"
CLOSE = "websocket.close"
STARTS = frozenset({START, "websocket.http.response.start", "websocket.accept"})


def followed(exchange: Exchange, send: Send) -> Send:
    """Return the `send` for the app of this exchange."""
    return Sender(exchange, send).send


class Sender:
    """Stands between an app and its server's `send`."""

    __slots__ = ("_exchange", "_send")

    def __init__(self, exchange: Exchange, send: Send) -> None:
        self._exchange = exchange
        self._send = send

    def send(self, message: Message) -> Awaitable[None]:
        """Pass a message on to the server, the first one with the request's id."""
        kind, exchange = message["type"], self._exchange
        if exchange.over:
            return _too_late(message)
        if kind == BODY:
            exchange.add_body(message)
        elif kind in STARTS and not exchange.status:
            return self._start(kind, message)
        elif kind == "websocket.send":
            exchange.give(_size(message))
        elif kind == CLOSE and not exchange.status:
            exchange.status = 403  # what the server answers to the handshake
        return self._send(message)

    def _start(self, kind: str, message: Message) -> Awaitable[None]:
        headers = self._exchange.begin_answer(kind, message)
        if headers is None:
            send, self._send = self._send, _refused
            return self._exchange.refuse(send)
        message = dict(message)  # an app may send the same one again
        message["headers"] = [*headers, self._exchange.header]
        return self._send(message)


async def _too_late(message: Message) -> None:
    raise RuntimeError(f"{message['type']!r} is sent, but the app has returned")


async def _refused(message: Message) -> None:
    raise StreamRefused


def _size(message: Message) -> int:
    """Return the size of a websocket message in bytes."""
    text = message.get("text")
    if text is None:
        return len(message.get("bytes") or b"")
    return len(text) if text.isascii() else len(text.encode(errors="replace"))
