"""A websocket client's mistakes are answered with the right code, and are not errors in our log."""

import asyncio
import json
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest

from tests.harness.client import Connection
from tests.harness.stack import Server, serving
from tests.harness.websocket import WebSocket
from tests.live.connections import handshake

SECONDS = 20.0
CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10  # RFC 6455 section 5.2


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, length: int | None = None) -> bytes:
    """Return a frame as a client sends it, masked with zeros."""
    size = len(payload) if length is None else length
    first = (fin << 7) | (rsv << 4) | opcode
    if size > 65_535:
        head = struct.pack("!BBQ", first, 255, size)
    elif size > 125:
        head = struct.pack("!BBH", first, 254, size)
    else:
        head = struct.pack("!BB", first, 128 | size)
    return head + bytes(4) + payload


def unmasked(opcode: int, payload: bytes) -> bytes:
    return struct.pack("!BB", 128 | opcode, len(payload)) + payload


NOT_UTF8 = b"\xff\xfe"
HELLO = frame(TEXT, b"hello")

# The bytes sent on an open connection, and the code with which the server closes. Frames that arrive together are
# parsed before the first of their messages is handled.
MISTAKES: dict[str, tuple[bytes, int]] = {
    "text that is not UTF-8": (frame(TEXT, NOT_UTF8), 1007),
    "a cut character": (frame(TEXT, "ü".encode()[:1]), 1007),
    "a surrogate": (frame(TEXT, b"\xed\xa0\x80"), 1007),
    "not UTF-8 in fragments": (frame(TEXT, b"a", fin=False) + frame(CONT, NOT_UTF8), 1007),
    "not UTF-8, then a close": (frame(TEXT, NOT_UTF8) + frame(CLOSE, b"\x03\xe8"), 1000),
    "not UTF-8, then a mistake": (frame(TEXT, NOT_UTF8) + unmasked(TEXT, b"a"), 1002),
    "not UTF-8, then a ping": (frame(TEXT, NOT_UTF8) + frame(PING, b"a"), 1007),
    "not UTF-8 twice": (frame(TEXT, NOT_UTF8) * 2, 1007),
    "a reason that is not UTF-8": (frame(CLOSE, b"\x03\xe8" + NOT_UTF8), 1007),
    "a code that is not for the wire": (frame(CLOSE, b"\x03\xed"), 1002),
    "a code that is none": (frame(CLOSE, b"\x00\x01"), 1002),
    "half a code": (frame(CLOSE, b"\x03"), 1002),
    "an unmasked frame": (unmasked(TEXT, b"hello"), 1002),
    "an unmasked close": (unmasked(CLOSE, b"\x03\xe8"), 1002),
    "a reserved bit": (frame(TEXT, b"hello", rsv=4), 1002),
    "a reserved opcode": (frame(3, b"hello"), 1002),
    "a close between two fragments": (
        frame(TEXT, b"a", fin=False) + frame(CLOSE, b"\x03\xe8") + frame(CONT, b"b"),
        1000,
    ),
    "a close after the first fragment": (frame(BINARY, b"a", fin=False) + frame(CLOSE, b"\x0f\xa0"), 4000),
    "a close after two fragments": (
        frame(TEXT, b"a", fin=False) + frame(CONT, b"b", fin=False) + frame(CLOSE, b"\x03\xe9"),
        1001,
    ),
    "a reserved control opcode": (frame(11), 1002),
    "a continuation of nothing": (frame(CONT, b"hello"), 1002),
    "a message within a message": (frame(TEXT, b"a", fin=False) + HELLO, 1002),
    "a close within a message": (frame(TEXT, b"a", fin=False) + frame(CLOSE, b"\x03\xe8"), 1000),
    "a long ping": (frame(PING, bytes(126)), 1002),
    "a fragmented ping": (frame(PING, fin=False), 1002),
    "a length of 2^63": (frame(TEXT, length=1 << 63), 1009),
    "a message over the server's limit": (frame(BINARY, length=(1 << 20) + 1) + bytes(1 << 20), 1009),
    "fragments over the server's limit": (frame(BINARY, bytes(1 << 19), fin=False) + frame(CONT, bytes(1 << 20)), 1009),
    "a request": (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1002),
    "a close, then messages": (frame(CLOSE, b"\x03\xe8") + HELLO * 100, 1000),
    "two closes": (frame(CLOSE, b"\x03\xe8") + frame(CLOSE, b"\x03\xe9"), 1000),
    "a close without a code": (frame(CLOSE), 1005),
}


@dataclass
class Site:
    """A server, and the end of its log before a test."""

    server: Server
    begin: int = 0

    async def check(self) -> None:
        """Check that another client is served, and that the log has no error."""
        socket_ = await connect(self.server, "/ws/echo")
        socket_.writer.write(HELLO + frame(CLOSE, b"\x03\xe8"))
        assert await code_of(socket_) == 1000
        log = self.server.log()[self.begin :]
        assert "Traceback" not in log, log
        assert '"ERROR"' not in log, log


@pytest.fixture(scope="module", params=["tests.live.mirror:application", "app.main:application"])
def served(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of an app that does not handle mistakes, and one of the shipped app."""
    with serving(request.param, workers=1) as server:
        yield server


@pytest.fixture(scope="module")
def mirrored() -> Iterator[Server]:
    """A server of the mirror app."""
    with serving("tests.live.mirror:application", workers=1, PRESTART="none") as server:
        yield server


@pytest.fixture
def site(served: Server) -> Site:
    return Site(served, len(served.log()))


@pytest.fixture
def mirror(mirrored: Server) -> Site:
    return Site(mirrored, len(mirrored.log()))


async def connect(server: Server, target: str) -> Connection:
    """Open a websocket for raw bytes in both directions: tests send what no client would."""
    connection = await Connection.open(server.address())
    connection.writer.write(handshake(target))
    async with asyncio.timeout(SECONDS):
        assert (await connection.head())[0] == 101
    return connection


async def code_of(connection: Connection) -> int:
    """Return the code with which the server closes; 1005 for a close without one, 1006 without a close."""
    async with asyncio.timeout(SECONDS):
        try:
            while True:
                first, size = await connection.reader.readexactly(2)
                wide = {126: 2, 127: 8}.get(size, 0)
                length = int.from_bytes(await connection.reader.readexactly(wide)) if wide else size
                payload = await connection.reader.readexactly(length)
                if first & 15 == CLOSE:
                    assert await connection.reader.read() == b""
                    return int.from_bytes(payload[:2]) if payload else 1005
        except EOFError:
            return 1006
        finally:
            await connection.close()


@pytest.mark.parametrize("kind", MISTAKES)
async def test_mistake(site: Site, kind: str) -> None:
    """The server closes with the code for it, the client reads that to its end, and no error is logged."""
    sent, code = MISTAKES[kind]
    connection = await connect(site.server, "/ws/echo")
    connection.writer.write(HELLO + sent)

    assert await code_of(connection) == code
    await site.check()


@pytest.mark.parametrize("kind", MISTAKES)
async def test_mistake_in_a_chat(served: Server, kind: str) -> None:
    """The same holds for the chat, whose handler has several tasks; the mirror has no chat."""
    if "app.main" not in str(served._command):
        return
    site = Site(served, len(served.log()))
    sent, code = MISTAKES[kind]
    connection = await connect(site.server, "/ws/chat")
    connection.writer.write(sent)

    assert await code_of(connection) == code
    await site.check()


@pytest.mark.parametrize("kind", MISTAKES)
async def test_mistake_while_the_app_sends(mirror: Site, kind: str) -> None:
    """For an app that is sending to a client that does not read, the client is gone after its mistake."""
    connection = await connect(mirror.server, "/ws/talk")
    await connection.reader.readexactly(100_000)
    connection.writer.write(MISTAKES[kind][0])

    assert await code_of(connection) == MISTAKES[kind][1]
    await mirror.check()


@pytest.mark.parametrize("sent", [HELLO * 50, frame(TEXT, NOT_UTF8), unmasked(TEXT, b"a"), frame(PING, b"a")])
async def test_client_goes_on_while_the_app_closes(mirror: Site, sent: bytes) -> None:
    """Messages and mistakes that come after the app's close are ignored."""
    connection = await connect(mirror.server, "/ws/closes")
    async with asyncio.timeout(SECONDS):
        connection.writer.write(HELLO)
        told = await connection.reader.readexactly(4)
        connection.writer.write(sent + frame(CLOSE, b"\x0f\xa0"))
        await connection.reader.read()
    await connection.close()

    assert told == b"\x88\x02\x0f\xa0"
    await mirror.check()


@pytest.mark.parametrize("target", ["/ws/echo", "/ws/talk", "/ws/closes"])
@pytest.mark.parametrize("sent", [b"", HELLO, HELLO[:3], frame(TEXT, b"a", fin=False), frame(CLOSE, b"\x03\xe8")])
@pytest.mark.parametrize("reset", [False, True], ids=["end", "reset"])
async def test_client_vanishes(mirror: Site, target: str, sent: bytes, reset: bool) -> None:
    """A connection that ends without a close, at any point, with or without unread data, logs no error."""
    connection = await connect(mirror.server, target)
    connection.writer.write(sent)
    if reset:
        connection.writer.transport.abort()
    await connection.close()

    await mirror.check()


async def test_pings_of_a_client_that_does_not_read(mirror: Site) -> None:
    """Endless pings cost a server no memory: while the client does not read, they are not answered more than once."""
    (pid,) = mirror.server.pids()
    connection = await connect(mirror.server, "/ws/echo")
    connection.writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    connection.reader._limit = 1  # type: ignore[attr-defined]  # reads nothing more
    before = _memory(pid)
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(SECONDS / 2):
            for _ in range(60):
                connection.writer.write(frame(PING, bytes(125)) * 8_000)  # 1 MiB
                await connection.writer.drain()

    assert _memory(pid) - before < 16 * 1024
    await connection.close()
    await mirror.check()


def _memory(pid: int) -> int:
    """Return the resident memory in KiB."""
    with open(f"/proc/{pid}/status") as status:  # noqa: PTH123 (a loop over lines)
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


async def test_messages_before_the_answer(mirror: Site) -> None:
    """Messages sent before the handshake is answered are neither lost nor mistaken for something else."""
    head = "GET /ws/echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13"
    async with asyncio.timeout(SECONDS), await Connection.open(mirror.server.address()) as connection:
        early = frame(PING, b"now") + HELLO + frame(BINARY, bytes(100_000)) + HELLO
        connection.writer.write(f"{head}\r\nSec-WebSocket-Key: {'A' * 22}==\r\n\r\n".encode() + early)
        status, _ = await connection.head()

        assert status == 101
        assert await connection.reader.readexactly(5) == b"\x8a\x03now"
        assert await connection.reader.readexactly(7) == b"\x81\x05hello"
        assert (await connection.reader.readexactly(100_010))[:2] == b"\x82\x7f"
        assert await connection.reader.readexactly(7) == b"\x81\x05hello"
    await mirror.check()


@pytest.mark.parametrize("target", ["/ws/refuses", "/ws/fails"])
async def test_messages_before_a_refusal(mirrored: Server, target: str) -> None:
    """A client that keeps sending still reads its refusal."""
    with pytest.raises(ConnectionError, match=r"answered with (403|500)"):
        await WebSocket.open(mirrored.address(), target)
    head = f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13"
    async with asyncio.timeout(SECONDS), await Connection.open(mirrored.address()) as connection:
        connection.writer.write(f"{head}\r\nSec-WebSocket-Key: {'A' * 22}==\r\n\r\n".encode() + bytes(400_000))
        answer = await connection.answer()

    assert answer.headers["content-type"] == "application/problem+json"


async def test_slow_reader_that_talks() -> None:
    """A chat client that does not read and keeps talking is closed with 1013, without an error in the log."""
    said = frame(TEXT, json.dumps({"user": "a", "message": "\U0001f600" * 2_000}, ensure_ascii=False).encode())
    with serving(workers=1) as server:
        async with asyncio.timeout(SECONDS * 2):
            slow, quick = await connect(server, "/ws/chat"), await connect(server, "/ws/chat")
            for last in (b"first", b"second"):
                hearing = asyncio.create_task(_until(quick, b'"user":"%s"' % last))
                quick.writer.write(said * 150)
                quick.writer.write(frame(TEXT, b'{"user": "%s", "message": "a"}' % last))
                slow.writer.write(frame(TEXT, b"no JSON") * 100)
                await hearing

            assert await code_of(slow) == 1013
            await quick.close()
        await Site(server).check()


async def _until(connection: Connection, text: bytes) -> None:
    """Read and discard up to this text."""
    seen = b""
    while text not in seen:
        data = await connection.reader.read(1 << 16)
        assert data
        seen = seen[-len(text) :] + data
