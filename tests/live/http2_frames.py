"""HTTP/2 frame by frame: tests build what they send byte by byte, so that it may be wrong in any way."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from hpack import Decoder, Encoder
from hpack.exceptions import HPACKError

from tests.harness.edge import hang_up

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, WITH_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
NO_ERROR, PROTOCOL, INTERNAL, FLOW, TIMEOUT, CLOSED, SIZE, REFUSED, CANCEL, COMPRESSION, CONNECT, CALM = range(12)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MARK = b"the mark"  # the payload of the ping that ends a case
SECONDS = 10.0

Fields = Sequence[tuple[str, str]]
REQUEST: Fields = ((":method", "GET"), (":scheme", "https"), (":path", "/m"), (":authority", "localhost"))
POST: Fields = ((":method", "POST"), *REQUEST[1:])


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"", *, length: int | None = None) -> bytes:
    """Return a frame (RFC 9113 section 4.1), whose length field may differ from its real length."""
    size = len(payload) if length is None else length
    return size.to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def block(*fields: tuple[str, str]) -> bytes:
    """Return a compressed list of fields that does not depend on earlier ones."""
    encoder = Encoder()
    encoder.header_table_size = 0
    return encoder.encode(list(fields))


def request(
    stream: int = 1, flags: int = END_STREAM | END_HEADERS, fields: Fields = REQUEST, more: Fields = ()
) -> bytes:
    """Return a request's HEADERS frame."""
    return frame(HEADERS, flags, stream, block(*fields, *more))


def setting(*pairs: tuple[int, int]) -> bytes:
    """Return a SETTINGS frame."""
    return frame(SETTINGS, payload=b"".join(name.to_bytes(2) + value.to_bytes(4) for name, value in pairs))


def number(value: int) -> bytes:
    return value.to_bytes(4)


@dataclass
class Seen:
    """Everything that the server sent in a case, until it answered the last ping or closed the connection."""

    closed: bool = False
    silent: bool = False
    """Whether it sent nothing more, though it should have."""
    goaway: int | None = None
    resets: dict[int, int] = field(default_factory=dict)
    """Error codes by stream."""
    statuses: dict[int, int] = field(default_factory=dict)
    bodies: dict[int, int] = field(default_factory=dict)
    """Bytes by stream."""
    pings: list[bytes] = field(default_factory=list)
    settings_acked: int = 0

    ended: set[int] = field(default_factory=set)

    def done(self, streams: Sequence[int]) -> bool:
        """Whether the mark is back and each of these streams has ended, or the whole connection has."""
        return self.closed or (MARK in self.pings and {*streams} <= self.ended | self.resets.keys())


class Peer:
    """An HTTP/2 connection on which raw bytes are sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._decoder = Decoder()
        self.seen = Seen()

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def read_until(self, enough: Callable[[Seen], bool]) -> None:
        """Read until `enough` is satisfied or the connection ends."""
        try:
            async with asyncio.timeout(SECONDS):
                while not enough(self.seen):
                    await self._read()
        except TimeoutError:
            self.seen.silent = True
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError):
            self.seen.closed = True

    async def _read(self) -> None:
        head = await self._reader.readexactly(9)
        payload = await self._reader.readexactly(int.from_bytes(head[:3]))
        self._take(head[3], head[4], int.from_bytes(head[5:9]), payload)

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        seen = self.seen
        if kind == GOAWAY:
            seen.goaway = int.from_bytes(payload[4:8])
        elif kind == RST_STREAM:
            seen.resets[stream] = int.from_bytes(payload)
        elif kind == HEADERS:
            with suppress(HPACKError):
                fields: Any = dict(self._decoder.decode(payload))
                seen.statuses[stream] = int(fields[":status"])
        elif kind == DATA:
            seen.bodies[stream] = seen.bodies.get(stream, 0) + len(payload)
        elif kind == PING and flags & ACK:
            seen.pings.append(payload)
        elif kind == SETTINGS and flags & ACK:
            seen.settings_acked += 1
        if kind in (HEADERS, DATA) and flags & END_STREAM:
            seen.ended.add(stream)


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Peer]:
    """Open a connection on which HTTP/2 has been negotiated."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        yield Peer(reader, writer)
    finally:
        await hang_up(writer)


async def talk(port: int, data: bytes, *, preface: bytes = PREFACE + setting(), streams: Sequence[int] = ()) -> Seen:
    """Open a connection with this preface, send this data and a ping; return what the server sent."""
    async with connected(port) as peer:
        peer.send(preface + data + frame(PING, payload=MARK))
        await peer.read_until(lambda seen: seen.done(streams))
        return peer.seen
