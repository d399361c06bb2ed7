"""Kinds of connection that a client may hold open while a worker ends, and the answer that each of them must get.

A kind names the bytes that the client sends, those it reads before the connection counts as held, and a pattern for
the rest until the server closes. tests/live/holding.py is their app; it counts requests and handshakes under way.
"""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.harness.client import Address, Connection, request
from tests.harness.processes import POLL_SECONDS
from tests.live.holding import DIRECT

SECONDS = 10.0  # for a server to close a connection when it ends
DRIP_SECONDS = 0.05
READ_BYTES = 1 << 12  # a reader buffers twice this before it stops reading from the system

OK = rb"HTTP/1\.1 200 .*"
GONE_1012 = rb"\x88\x02\x03\xf4"  # a close frame, RFC 6455 section 5.5.1
TIMED_OUT = rb"HTTP/1\.1 408 .*application/problem\+json.*"


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *headers, "\r\n"]).encode()


def post(path: str, *headers: str) -> bytes:
    return get(path, *headers).replace(b"GET", b"POST", 1)


def handshake(path: str, *headers: str) -> bytes:
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    return get(path, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", key, *headers)


@dataclass(frozen=True)
class Kind:
    """One kind of connection."""

    name: str
    sends: bytes = b""
    first: bytes = b""  # the connection is held once this has been read
    end: bytes | None = b""  # a pattern for the rest; None where the connection may be cut after anything
    drips: bytes = b""  # sent repeatedly
    under_way: int = 0  # requests and handshakes that it makes for the worker


H2C = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
CHUNKED = "Transfer-Encoding: chunked"

MESSAGES = (b"\x82\xfe\x04\x00\0\0\0\0" + b"." * 1024) * 100  # binary, masked with zeros: RFC 6455 section 5.2

KINDS = [
    Kind("just accepted"),
    Kind("an empty line", b"\r\n"),
    Kind("idle", get("/plaintext"), b"World!"),
    Kind("half a head", b"GET /plaintext HTTP/1.1\r\nHost: loc"),
    Kind("half a second head", get("/plaintext") + b"GET /pl", b"World!"),
    Kind("a head in drips", b"GET /plaintext HTTP/1.1\r\nX: ", drips=b"x"),
    Kind("a body in drips", post("/echo", "Content-Length: 999999"), end=TIMED_OUT, drips=b"x", under_way=1),
    Kind("a body unread, in drips", post("/nothing", "Content-Length: 999999"), b"refused", drips=b"x"),
    Kind("half a body", post("/echo", "Content-Length: 1000") + b"half", end=TIMED_OUT, under_way=1),
    Kind("no body yet", post("/echo", "Content-Length: 1000"), end=TIMED_OUT, under_way=1),
    Kind("half a chunk", post("/echo", CHUNKED) + b"10\r\nhalf", end=TIMED_OUT, under_way=1),
    Kind("chunks without an end", post("/echo", CHUNKED) + b"4\r\nhalf\r\n", end=TIMED_OUT, under_way=1),
    Kind("body unread", post("/nothing", "Content-Length: 100000") + b"." * 1000, b"refused"),
    Kind("large body unread", post("/nothing", "Content-Length: 3000000") + b"." * 3_000_000, b"refused"),
    Kind("slow request", get("/slow"), end=OK, under_way=1),
    Kind("pipelined", get("/slow") + get("/plaintext"), end=OK + rb"at last" + OK + rb"World!", under_way=1),
    Kind("pipelined, half of the next", get("/slow") + b"GET /pl", end=OK + rb"at last", under_way=1),
    Kind("pipelined behind an answer", get("/plaintext") + get("/slow"), b"World!", OK + b"at last", under_way=1),
    Kind(
        "100-continue waiting",
        post("/echo", "Content-Length: 5", "Expect: 100-continue"),
        b"100 Continue\r\n\r\n",
        TIMED_OUT,
        under_way=1,
    ),
    Kind("h2c offer", get("/plaintext", *H2C), b"World!"),
    Kind("h2c offer, slow", get("/slow", *H2C), end=OK + b"at last", under_way=1),
    Kind("h2c offer with half a body", post("/echo", "Content-Length: 9", *H2C) + b"half", end=TIMED_OUT, under_way=1),
    Kind("stream idle", get("/stream"), b"..........", rb".*over\r\n0\r\n\r\n", under_way=1),
    Kind("stream not reading", get("/flood"), b"..........", None, under_way=1),
    Kind("answer not read", get("/large"), b"..........", None),
    Kind("websocket idle", handshake("/"), b"\r\n\r\n", GONE_1012),
    Kind("websocket mid-frame", handshake("/") + b"\x81\xff\0", b"\r\n\r\n", GONE_1012),
    Kind("websocket mid-fragment", handshake("/") + b"\x01\x81\0\0\0\0a", b"\r\n\r\n", GONE_1012),
    Kind("websocket not reading", handshake("/flood"), b"\r\n\r\n", None),
    Kind("websocket not read", handshake("/deaf") + MESSAGES[:1032], b"\r\n\r\n", GONE_1012),
    Kind("websocket sending", handshake("/deaf") + MESSAGES, b"\r\n\r\n", GONE_1012),
    Kind("websocket in drips", handshake("/") + MESSAGES, b"\r\n\r\n", GONE_1012, drips=MESSAGES[:1032]),
    Kind("websocket that does not answer a close", handshake("/closes"), b"\x88\x02\x0f\xa0"),
    Kind("handshake under way", handshake("/slow"), end=rb"HTTP/1\.1 101 .*" + GONE_1012, under_way=1),
    Kind("handshake undecided", handshake("/undecided"), end=rb"HTTP/1\.1 50[03] .*", under_way=1),
    Kind(
        "handshake refused by the app server",
        handshake("/").replace(b"Version: 13", b"Version: 1"),
        end=rb"HTTP/1\.1 400 .*",
    ),
    Kind("handshake with a body", handshake("/", "Content-Length: 5") + b"hello", end=rb"HTTP/1\.1 400 .*"),
    Kind("handshake with a large field", handshake("/", f"X: {'x' * 9000}"), end=rb"HTTP/1\.1 4\d\d .*"),
    Kind("handshake with many fields", handshake("/", *["X: x"] * 200), end=rb"HTTP/1\.1 4\d\d .*"),
]


class Held:
    """A connection of one kind that a client holds open."""

    def __init__(self, kind: Kind, connection: Connection) -> None:
        self.kind = kind
        self._connection = connection
        self._dripping: asyncio.Task[None] | None = None
        self._rest: asyncio.Task[bytes] | None = None

    @classmethod
    async def open(cls, kind: Kind, address: Address) -> "Held":
        """Connect and send; `until_held` waits for the first bytes that this kind reads."""
        connection = await _open(address)
        connection.writer.write(kind.sends)
        return cls(kind, connection)

    async def until_held(self, seconds: float = SECONDS) -> None:
        """Wait for the first bytes that this kind reads. Raises EOFError or TimeoutError when they do not come."""
        if self.kind.first:
            async with asyncio.timeout(seconds):
                await self._connection.reader.readuntil(self.kind.first)
        if self.kind.drips:
            self._dripping = asyncio.create_task(self._drip())
            self._rest = asyncio.create_task(self._read())  # at once: a client that sends on after the close is reset

    async def end(self) -> str:
        """Read until the server closes; return an empty string if this is what the kind must get, else what came."""
        came = b""
        try:
            async with asyncio.timeout(SECONDS):
                came = await (self._rest or self._read())
        except TimeoutError:
            return f"{self.kind.name}: still open"
        except OSError as error:
            if self.kind.end is not None:
                return f"{self.kind.name}: {error!r}"
        finally:
            await self.close()
        well = self.kind.end is None or re.fullmatch(self.kind.end, came, re.DOTALL)
        return "" if well else f"{self.kind.name}: {came[:200]!r}"

    async def close(self) -> None:
        """Cut the connection, even with unsent or unread bytes."""
        for task in filter(None, (self._dripping, self._rest)):
            task.cancel()
        self._connection.writer.transport.abort()
        await self._connection.close()

    async def _read(self) -> bytes:
        came = b""
        while data := await self._connection.reader.read(1 << 16):
            came += data if len(came) < 1 << 16 else b""
        if self._dripping is not None:
            self._dripping.cancel()
        return came

    async def _drip(self) -> None:
        while not self._connection.writer.is_closing():
            self._connection.writer.write(self.kind.drips)
            await asyncio.sleep(DRIP_SECONDS)


async def _open(address: Address) -> Connection:
    """Open a connection whose reader stops early when nothing is taken from it."""
    client = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
    client.setblocking(False)
    await asyncio.get_running_loop().sock_connect(client, address)
    return Connection(*await asyncio.open_connection(sock=client, limit=READ_BYTES))


@asynccontextmanager
async def holding(kinds: Sequence[Kind], addresses: Sequence[Address]) -> AsyncIterator[list[Held]]:
    """Hold each kind at each worker; the block is entered once the workers have all of them."""
    held = [await Held.open(kind, address) for kind in kinds for address in addresses]
    try:
        await asyncio.gather(*(each.until_held() for each in held))
        await under_way(addresses, len(addresses) * (1 + sum(kind.under_way for kind in kinds)), DIRECT)
        yield held
    finally:
        await asyncio.gather(*(each.close() for each in held))


@asynccontextmanager
async def holding_behind_nginx(kinds: Sequence[Kind], address: Address) -> AsyncIterator[None]:
    """Hold the same kinds through nginx, which answers some of them itself, so that their ends are not checked."""
    held = [await Held.open(kind, address) for kind in kinds]
    try:
        await asyncio.gather(*(each.until_held(1.0) for each in held), return_exceptions=True)
        yield
    finally:
        await asyncio.gather(*(each.close() for each in held))


async def under_way(addresses: Sequence[Address], count: int, kind: str) -> None:
    """Wait until the workers behind the addresses have at least `count` requests and handshakes of a kind under way.

    A kind is a path of requests through nginx, or DIRECT, which includes the request that asks for the count.
    """
    async with asyncio.timeout(SECONDS):
        while await _counted(addresses, kind) < count:  # noqa: ASYNC110 (in other processes)
            await asyncio.sleep(POLL_SECONDS)


async def _counted(addresses: Sequence[Address], kind: str) -> int:
    answers = [await request(address, "GET", "/count") for address in addresses]
    return sum(json.loads(answer.body).get(kind, 0) for answer in answers)
