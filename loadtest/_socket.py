"""A user's websocket: what its end means, and a close that waits for nothing."""

import ssl
from contextlib import suppress
from typing import Any

# pure Python, so it waits the way gevent wants it
from websocket import WebSocket, WebSocketException, create_connection

TIMEOUT_SECONDS = 10.0
RESTARTS = (1001, 1012)  # RFC 6455 section 7.4.1: the server goes or restarts, and the client is to come back
NORMAL, NO_CODE = 1000, 1005
BINARY = 0x2  # RFC 6455 section 5.2
CLOSE = 0x8


class Closed(Exception):
    """The server closed the connection with this code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"closed with {code}")
        self.restarts = code in RESTARTS


class Socket(WebSocket):
    """Its library answers a close by itself, which must not hide the close where the answer can't be sent any more."""

    def send_close(self, status: int = NORMAL, reason: bytes | str = b"") -> None:
        with suppress(OSError, WebSocketException):
            super().send_close(status, reason)


def connect(host: str, path: str) -> WebSocket:
    """Open a websocket at the place of an HTTP host; a certificate is not verified, as FastHttpUser has it."""
    url = "ws" + host.removeprefix("http").rstrip("/") + path
    options = {"cert_reqs": ssl.CERT_NONE, "check_hostname": False}
    return create_connection(url, timeout=TIMEOUT_SECONDS, sslopt=options, class_=Socket)


def close(socket: WebSocket) -> None:
    """Say goodbye and hang up: WebSocket.close() waits for the answer, and swallows the end of a user meanwhile."""
    socket.send_close()
    socket.shutdown()  # type: ignore[no-untyped-call]


def send(socket: WebSocket, data: str | bytes, opcode: int) -> None:
    """Send a message; raises Closed where the server has closed the connection already, and has said so."""
    try:
        socket.send(data, opcode)
    except (OSError, WebSocketException) as error:
        with suppress(OSError, WebSocketException):
            while True:  # what was said before the close comes first
                receive(socket)
        raise error


def receive(socket: WebSocket) -> str | bytes:
    """The next text or binary message; raises Closed."""
    opcode, data = socket.recv_data()
    if opcode == CLOSE:
        raise Closed(int.from_bytes(data[:2], "big") if len(data) >= 2 else NO_CODE)
    return data if opcode == BINARY else _text(data)


def _text(data: Any) -> str:
    return data.decode() if isinstance(data, bytes) else str(data)
