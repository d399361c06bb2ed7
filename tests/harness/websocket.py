"""The websocket client: whole frames over TCP or a unix socket, passed on as they come.

The frames are parsed here: a library's client needs more CPU time than the server under test.
"""

import asyncio
import os
from base64 import b64encode
from collections.abc import Callable
from typing import cast

from tests.harness.client import SECONDS, Address

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10  # RFC 6455 section 5.2
CUT = 1006  # the code of a connection that ends without a close frame

Take = Callable[[int, bytes], None]


def nothing() -> None:
    """Ignore the end of the connection."""


class Frames(asyncio.Protocol):
    """One connection: the handshake, then each frame's opcode and payload to `take`, and `lost()` at the end."""

    def __init__(self, target: str, take: Take, lost: Callable[[], None], *headers: str) -> None:
        self._target, self._take, self._lost, self._headers = target, take, lost, headers
        self._buffer = bytearray()
        self.status: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(
        cls, address: Address, target: str, take: Take, lost: Callable[[], None] = nothing, *headers: str
    ) -> "Frames":
        """Connect. Raises ConnectionError when the answer is not 101."""
        loop = asyncio.get_running_loop()

        def protocol() -> "Frames":
            return cls(target, take, lost, *headers)

        if isinstance(address, str):
            _, frames = await loop.create_unix_connection(protocol, address)
        else:
            _, frames = await loop.create_connection(protocol, *address)
        if (status := await frames.status) != 101:
            frames.transport.close()
            raise ConnectionError(f"the handshake was answered with {status}")
        return frames

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport = cast(asyncio.Transport, transport)
        key = b64encode(os.urandom(16)).decode()
        fixed = ("Host: localhost", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
        lines = [f"GET {self._target} HTTP/1.1", *fixed, f"Sec-WebSocket-Key: {key}", *self._headers, "\r\n"]
        transport.write("\r\n".join(lines).encode())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self.status.done():
            head, found, _ = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            del self._buffer[: len(head) + 4]
            self.status.set_result(int(head.split()[1]))
        while (size := self._frame_size()) is not None:
            opcode, start, end = self._buffer[0] & 15, size[0], sum(size)
            payload = bytes(self._buffer[start:end])
            del self._buffer[:end]
            self._take(opcode, payload)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.status.done():
            self.status.set_exception(error or ConnectionError("closed during the handshake"))
        self._lost()

    def send(self, payload: bytes, opcode: int = TEXT) -> None:
        """Send one frame, masked with zeros."""
        size = len(payload)
        if size < 126:
            length = bytes([0x80 | size])
        else:
            length = b"\xfe" + size.to_bytes(2, "big") if size < 1 << 16 else b"\xff" + size.to_bytes(8, "big")
        self.transport.write(bytes([0x80 | opcode]) + length + bytes(4) + payload)

    def _frame_size(self) -> tuple[int, int] | None:
        """Return the sizes of the next frame's head and body, None until the whole frame is there."""
        buffer = self._buffer
        if not self.status.done() or len(buffer) < 2:
            return None
        head = {126: 4, 127: 10}.get(buffer[1], 2)
        if len(buffer) < head:
            return None
        body = int.from_bytes(buffer[2:head], "big") if head > 2 else buffer[1]
        return (head, body) if len(buffer) >= head + body else None


class WebSocket:
    """A client that reads frame by frame."""

    def __init__(self) -> None:
        self._came: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue()

    @classmethod
    async def open(cls, address: Address, target: str = "/ws/echo") -> "WebSocket":
        """Connect. Raises ConnectionError when the answer is not 101."""
        socket = cls()
        async with asyncio.timeout(SECONDS):
            socket._frames = await Frames.open(address, target, socket._take, lambda: socket._came.put_nowait(None))
        return socket

    _frames: Frames

    def _take(self, opcode: int, payload: bytes) -> None:
        self._came.put_nowait((opcode, payload))

    async def frame(self) -> tuple[int, bytes]:
        """Return the opcode and payload of the next frame. Raises EOFError when the connection ends instead."""
        if (frame := await self._came.get()) is None:
            raise EOFError("the connection ended")
        return frame

    async def close_code(self) -> int:
        """Read until the server closes; return its code, or 1006 when the connection just ends."""
        try:
            while True:
                opcode, payload = await self.frame()
                if opcode == CLOSE:
                    return int.from_bytes(payload[:2])
        except EOFError:
            return CUT
        finally:
            await self.close()

    async def close(self) -> None:
        self._frames.transport.close()
