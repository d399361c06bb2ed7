"""A user's websocket: the meaning of its close codes, and a close that does not wait for the answer."""

import ssl
from contextlib import suppress
from typing import Any

# pure Python, so gevent can patch its waits
from websocket import WebSocket, WebSocketException, create_connection

TIMEOUT_SECONDS = 10.0
RESTARTS = (1001, 1012)  # IANA's close codes: the server leaves or restarts, and the client should reconnect
NORMAL, NO_CODE = 1000, 1005
BINARY = 0x2  # RFC 6455 section 5.2
CLOSE = 0x8


class Closed(Exception):
    """The server closed the connection with this code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"closed with {code}")
        self.restarts = code in RESTARTS


class Socket(WebSocket):
    """The library answers a close by itself; if that answer can't be sent, its error must not hide the close."""

    def send_close(self, status: int = NORMAL, reason: bytes | str = b"") -> None:
        with suppress(OSError, WebSocketException):
            super().send_close(status, reason)


def connect(host: str, path: str) -> WebSocket:
    """Open a websocket to an HTTP host; the certificate is not verified, as in FastHttpUser."""
    url = "ws" + host.removeprefix("http").rstrip("/") + path
    options = {"cert_reqs": ssl.CERT_NONE, "check_hostname": False}
    return create_connection(url, timeout=TIMEOUT_SECONDS, sslopt=options, class_=Socket)


def close(socket: WebSocket) -> None:
    """Send a close and disconnect. WebSocket.close() would wait for the answer, and swallow a user's GreenletExit."""
    socket.send_close()
    socket.shutdown()  # type: ignore[no-untyped-call]


def send(socket: WebSocket, data: str | bytes, opcode: int) -> None:
    """Send a message; raises Closed if it fails because the server has closed the connection with a close frame."""
    try:
        socket.send(data, opcode)
    except (OSError, WebSocketException) as error:
        with suppress(OSError, WebSocketException):
            while True:  # messages before the close come first
                receive(socket)
        raise error


def receive(socket: WebSocket) -> str | bytes:
    """Return the next text or binary message; raises Closed."""
    opcode, data = socket.recv_data()
    if opcode == CLOSE:
        raise Closed(int.from_bytes(data[:2], "big") if len(data) >= 2 else NO_CODE)
    return data if opcode == BINARY else _text(data)


def _text(data: Any) -> str:
    return data.decode() if isinstance(data, bytes) else str(data)
