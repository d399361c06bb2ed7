"""Idle connections: their memory in the workers, and their effect on other requests."""

import base64
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

KEEP_ALIVE, WEBSOCKET = "keep-alive connection", "websocket"
TIMEOUT_SECONDS = 10.0
TEXT_FRAME = b"\x81"
COMPRESSED_FRAME = b"\xc1"  # from servers that accept permessage-deflate


@contextmanager
def waiting(port: int, kind: str, count: int, memory: Callable[[], int]) -> Iterator[dict[str, Any]]:
    """Hold `count` idle connections; yield the growth of `memory` per connection in KiB. Without a kind, hold none."""
    if not kind:
        yield {}
        return
    before = memory()
    opened = websockets if kind == WEBSOCKET else keepalives
    with opened(port, count):
        yield {"kind": kind, "connections": count, "kib": (memory() - before) / count}


@contextmanager
def websockets(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Open `count` websockets, each after one echo of 100 bytes."""
    with _opened(port, count, _handshake) as sockets:
        yield sockets


@contextmanager
def keepalives(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Open `count` HTTP connections, each after one request."""
    with _opened(port, count, _request) as sockets:
        yield sockets


@contextmanager
def _opened(port: int, count: int, greet: Callable[[socket.socket], None]) -> Iterator[list[socket.socket]]:
    sockets: list[socket.socket] = []
    try:
        for _ in range(count):
            opened = socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS)
            sockets.append(opened)
            greet(opened)
        yield sockets
    finally:
        for opened in sockets:
            opened.close()


def _request(opened: socket.socket) -> None:
    opened.sendall(b"GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    _expect(opened, b"HTTP/1.1 200")


def _handshake(opened: socket.socket) -> None:
    key = base64.b64encode(os.urandom(16))
    opened.sendall(
        b"GET /ws/echo HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Key: "
        + key
        + b"\r\n\r\n"
    )
    _expect(opened, b"HTTP/1.1 101")
    opened.sendall(TEXT_FRAME + bytes([0x80 | 100]) + bytes(4) + b"x" * 100)  # masked, with a mask of zeros
    _expect(opened, TEXT_FRAME, COMPRESSED_FRAME)


def _expect(opened: socket.socket, *starts: bytes) -> None:
    data = opened.recv(65_536)
    if not data.startswith(starts):
        raise ConnectionError(f"{data[:80]!r} instead of {starts[0]!r}")
