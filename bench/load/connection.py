"""A minimal HTTP/1.1 client connection of the open load, so that the generator stays fast."""

import asyncio
from collections.abc import Callable
from typing import cast

Done = Callable[["LoadConnection", str | None], None]  # the connection, and the failure or None


class LoadConnection(asyncio.Protocol):
    """Sends one request at a time and calls `done` after its response."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.expected = b""
        self.done: Done | None = None
        self.intended = self.sent = 0.0
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's transport is no subclass

    def ask(self, request: bytes, expected: bytes, done: Done) -> None:
        """Send a request; the response must be 200 with exactly the expected body, or with any if none is expected."""
        assert self.transport is not None
        self.expected, self.done, self._buffer = expected, done, b""
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer = buffer = self._buffer + data if self._buffer else data
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = buffer[:end].lower()
        length = _content_length(head)
        if length < 0:
            self._finish("an answer without content-length")
        elif len(buffer) - end - 4 >= length:
            if not head.startswith(b"http/1.1 200 "):
                self._finish(f"status {head[9:12].decode(errors='replace')}")
            else:
                self._finish("wrong body" if self.expected and buffer[end + 4 :] != self.expected else None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._finish("connection lost")

    def _finish(self, failure: str | None) -> None:
        done, self.done = self.done, None
        if done is not None:
            done(self, failure)


def _content_length(head: bytes) -> int:
    start = head.find(b"\r\ncontent-length:")
    if start < 0:
        return -1
    end = head.find(b"\r\n", start + 2)
    return int(head[start + 17 : end if end > 0 else len(head)])


def request_bytes(path: str, *, method: str = "GET", body: bytes = b"", host: str = "127.0.0.1") -> bytes:
    """A complete HTTP/1.1 request."""
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n"
    if body:
        head += f"Content-Type: application/octet-stream\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body
