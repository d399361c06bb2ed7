"""A minimal websocket client with low CPU cost: it reads frames, and answers pings."""

import asyncio
import struct
from base64 import b64encode
from collections.abc import Callable
from os import urandom

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10  # RFC 6455 section 5.2
SECONDS = 10.0


class Client(asyncio.Protocol):
    """One connection; `take` gets each text."""

    def __init__(self, path: str, take: Callable[[bytes], None]) -> None:
        self._path = path
        self._take = take
        self._buffer = b""
        self.is_open: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_lost = False

    @classmethod
    async def open(cls, port: int, path: str, take: Callable[[bytes], None]) -> "Client":
        """Connect, and wait for the end of the handshake."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(SECONDS):
            _, client = await loop.create_connection(lambda: cls(path, take), "127.0.0.1", port)
            await client.is_open
        return client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        key = b64encode(urandom(16)).decode()
        transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self.is_open.done():
            head, end, self._buffer = self._buffer.partition(b"\r\n\r\n")
            if not end:
                self._buffer = head
                return
            if b" 101 " not in head.partition(b"\r\n")[0]:
                self.is_open.set_exception(ConnectionError(head.decode(errors="replace")))
                return
            self.is_open.set_result(None)
        self._read_frames()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        if not self.is_open.done():
            self.is_open.set_exception(exc or ConnectionError("closed in the handshake"))

    def send(self, payload: bytes, opcode: int = TEXT) -> None:
        """Send one frame, masked with zeros."""
        size = len(payload)
        head = struct.pack("!BB", 128 | opcode, 128 | size) if size < 126 else struct.pack("!BBH", 129, 254, size)
        self.transport.write(head + bytes(4) + payload)

    def _read_frames(self) -> None:
        start, buffer = 0, self._buffer
        while len(buffer) - start >= 2:
            size, body = buffer[start + 1], start + 2
            if size == 126:
                if len(buffer) < body + 2:
                    break
                size, body = struct.unpack_from("!H", buffer, body)[0], body + 2
            if len(buffer) < body + size:
                break
            opcode, payload = buffer[start] & 15, buffer[body : body + size]
            start = body + size
            if opcode == TEXT:
                self._take(payload)
            elif opcode == PING:
                self.send(payload, PONG)
        self._buffer = buffer[start:]
