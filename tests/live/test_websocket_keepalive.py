"""Pings find a vanished client; a client that sends faster than its app reads is slowed, and not taken for vanished."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.harness.client import Connection
from tests.harness.processes import until
from tests.harness.stack import Server, serving
from tests.live.connections import handshake

SECONDS = 20.0
PERIOD = 0.3  # seconds between pings, and for each answer to one
ROUNDS = 8  # pings that a connection survives
CLOSE, PONG = 8, 10  # RFC 6455 section 5.2
KEEPALIVE_ENDS = b"\x03\xf3keepalive ping timeout"  # 1011

APP = """
import asyncio
from tests.live.lifespan import lifespan

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    await receive()
    await send({"type": "websocket.accept"})
    if scope["path"] == "/never":
        await asyncio.sleep(3600)
    while (message := await receive())["type"] == "websocket.receive":
        if scope["path"] == "/echo":
            await send({"type": "websocket.send", "bytes": bytes(100_000)})
        elif scope["path"] == "/slowly":
            await asyncio.sleep(0.05)
"""
CONFIGURATION = f"""
from slipway.serving.worker import Worker
Worker.CONFIG_KWARGS |= {{"ws_ping_interval": {PERIOD}, "ws_ping_timeout": {PERIOD}}}
exec(open("gunicorn.conf.py").read())
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one worker that pings often."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "talks.py").write_text(APP)
    (folder / "quick.py").write_text(CONFIGURATION)
    options = {"PYTHONPATH": str(folder), "PRESTART": "none", "ACCESS_LOG": "1"}
    arguments = ["--config", str(folder / "quick.py")]
    with serving("talks:application", workers=1, arguments=arguments, **options) as started:
        yield started


def frame(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """Return a short frame as a client sends it, masked with zeros."""
    return bytes([fin << 7 | opcode, 128 | len(payload)]) + bytes(4) + payload


async def connect(server: Server, target: str) -> Connection:
    connection = await Connection.open(server.address())
    connection.writer.write(handshake(target))
    assert (await connection.head())[0] == 101
    return connection


async def frames(connection: Connection) -> AsyncIterator[tuple[int, bytes]]:
    """Yield the server's frames; pings and a close are short."""
    while True:
        first, size = await connection.reader.readexactly(2)
        yield first & 15, await connection.reader.readexactly(size)


async def pings(connection: Connection, *, answers: bool = True, more: bytes = b"") -> list[bytes]:
    """Answer pings until ROUNDS of them have come or the server closes; return the payload of a close."""
    left = ROUNDS
    async with asyncio.timeout(SECONDS):
        async for opcode, payload in frames(connection):
            if opcode == CLOSE:
                return [payload]
            if answers:
                connection.writer.write(frame(PONG, payload) + more)
            left -= 1
            if not left:
                return []
    raise AssertionError


FLOODS = {
    "messages": frame(1, b"a") * 40_000,
    "fragments": (frame(1, b"a", fin=False) + frame(0, b"b", fin=False) + frame(0, b"c")) * 20_000,
    "pongs between": (frame(2, bytes(100)) + frame(PONG, b"a")) * 4_000,
    "one message": frame(1, b"a"),
    "two messages": frame(1, b"a") * 2,
}


@pytest.mark.parametrize("target", ["/slowly", "/never"])
@pytest.mark.parametrize("kind", FLOODS)
async def test_client_that_sends_faster_than_the_app_reads_stays(server: Server, target: str, kind: str) -> None:
    """A client that sends faster than the app reads stays, though its answers to pings wait behind unread messages."""
    connection = await connect(server, target)
    connection.writer.write(FLOODS[kind])

    assert await pings(connection, more=frame(1, b"more")) == []
    connection.writer.transport.abort()  # unread data will stay unread


@pytest.mark.parametrize("target", ["/slowly", "/never", "/other"])
@pytest.mark.parametrize("sent", [b"", frame(1, b"a")], ids=["silent", "after a message"])
async def test_client_that_vanishes_is_found(server: Server, target: str, sent: bytes) -> None:
    """A client that answers no ping, and of which nothing waits to be read, is closed."""
    connection = await connect(server, target)
    connection.writer.write(sent)

    assert await pings(connection, answers=False) == [KEEPALIVE_ENDS]
    await connection.close()


async def test_flood_of_a_client_that_takes_nothing_is_ended(server: Server) -> None:
    """A client that sends without end and reads nothing is closed."""
    connection = await connect(server, "/echo")
    before = server.log().count('"path":"/echo"')
    connection.writer.write(frame(1, b"a") * 200_000)
    connection.reader._limit = 1  # type: ignore[attr-defined]  # reads nothing more

    await until(lambda: server.log().count('"path":"/echo"') > before, SECONDS, "the record of its end")
    connection.writer.transport.abort()
    await connection.close()
