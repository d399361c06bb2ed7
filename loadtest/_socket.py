"""A websocket of a user: one connection that comes back after it was closed, as a page's does."""

from contextlib import suppress
from typing import Any

# pure Python, so it waits the way gevent wants it
from websocket import WebSocket, WebSocketException, create_connection

TIMEOUT_SECONDS = 10.0


class Closed(Exception):
    """The server closed the connection; the argument is the close code."""


def connect(host: str, path: str) -> WebSocket:
    """Open a websocket at the place of an HTTP host."""
    return create_connection("ws" + host.removeprefix("http").rstrip("/") + path, timeout=TIMEOUT_SECONDS)


def close(socket: WebSocket) -> None:
    """Say goodbye and hang up: WebSocket.close() waits for the answer, and swallows the end of a user meanwhile."""
    with suppress(OSError, WebSocketException):
        socket.send_close()
    socket.shutdown()  # type: ignore[no-untyped-call]


def receive(socket: WebSocket) -> str | bytes:
    """The next text or binary message; raises Closed."""
    opcode, data = socket.recv_data()
    if opcode == CLOSE:
        raise Closed(int.from_bytes(data[:2], "big") if len(data) >= 2 else 1005)
    return data if opcode == BINARY else _text(data)


def _text(data: Any) -> str:
    return data.decode() if isinstance(data, bytes) else str(data)


BINARY = 0x2  # RFC 6455 section 5.2
CLOSE = 0x8
