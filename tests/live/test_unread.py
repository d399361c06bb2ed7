"""A request that is answered before its body has been read: the rest is discarded, and nothing is lost."""

import asyncio
import json
import select
import socket
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.harness.client import Address, Connection
from tests.harness.processes import until
from tests.harness.stack import Server, behind_nginx, serving
from tests.live.mirror import answered
from tests.live.test_one_request import SMUGGLED

SECONDS = 20.0
BODY = bytes(16 * 1024)
RELOADS = 3


@pytest.fixture(scope="module")
def mirror() -> Iterator[Server]:
    """The mirror app, which answers /unread with 404 without reading the body."""
    with serving("tests.live.mirror:application", workers=1, PRESTART="none") as server:
        yield server


def send_and_read(address: Address, head: bytes, body: list[bytes]) -> bytes:
    """Send a head, wait for its answer, send the body all the same, and only then read. Raises OSError."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SECONDS)
        connection.connect(address)
        connection.sendall(head)
        assert select.select([connection], [], [], SECONDS)[0]
        for piece in body:
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while data := connection.recv(65_536):
            answer += data
        return answer


def head(*fields: str, target: str = "/unread", version: str = "1.1") -> bytes:
    return "\r\n".join([f"POST {target} HTTP/{version}", "Host: a", *fields, "\r\n"]).encode()


OFFER = ("Connection: Upgrade", "Upgrade: websocket")
EARLY: dict[str, tuple[bytes, list[bytes]]] = {
    "close": (head("Connection: close", "Content-Length: 16384"), [BODY]),
    "close, long": (head("Connection: close", "Content-Length: 8388608"), [BODY] * 512),
    "close, chunked": (head("Connection: close", "Transfer-Encoding: chunked"), [b"4000\r\n%s\r\n" % BODY] * 50),
    "HTTP/1.0": (head("Content-Length: 16384", version="1.0"), [BODY]),
    "waits for the continue": (head("Expect: 100-continue", "Content-Length: 16384"), [BODY]),
    "more than it said": (head("Connection: close", "Content-Length: 16384"), [BODY] * 20),
    "malformed": (b"no request\r\n\r\n", [BODY] * 20),
    "a malformed chunk": (head("Transfer-Encoding: chunked", target="/read") + b"x\r\n", [BODY] * 20),
    "an app that fails after its start": (head("Content-Length: 163840", target="/start_then_raises"), [BODY] * 10),
    "a handshake": (head(*OFFER, "Content-Length: 163840"), [BODY] * 10),
    "CONNECT": (b"CONNECT a:1 HTTP/1.1\r\n\r\n", [BODY] * 10),
}


@pytest.mark.parametrize("kind", EARLY)
async def test_answer_arrives(mirror: Server, kind: str) -> None:
    """A peer that sends its whole body before it reads gets the answer and then the end, and no reset."""
    answer = await asyncio.to_thread(send_and_read, mirror.address(), *EARLY[kind])

    status = answer.split()[1]
    assert status in {b"400", b"404", b"500"}
    assert b"\r\nconnection: close\r\n" in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])


async def test_answer_arrives_in_the_drain() -> None:
    """The same holds for a connection whose request is answered while the worker drains."""
    with serving("tests.live.mirror:application", workers=1, PRESTART="none", DRAIN_SECONDS="3") as server:
        async with await Connection.open(server.address()) as kept:
            await kept.request("GET", "/")
            server.signal(15)
            await until(lambda: server.logged("Draining"), 5)
            kept.writer.write(head("Content-Length: 163840"))
            answer = await kept.answer()
            for _ in range(10):
                kept.writer.write(BODY)
                await kept.writer.drain()

            assert (answer.status, answer.headers["connection"]) == (404, "close")
            assert await kept.reader.read() == b""
        assert await server.exit_code(10) == 0


async def test_endless_body(mirror: Server) -> None:
    """A peer whose body never ends is cut off within five seconds."""
    began = time.monotonic()
    async with asyncio.timeout(SECONDS), await Connection.open(mirror.address()) as connection:
        connection.writer.write(head("Connection: close", "Transfer-Encoding: chunked"))
        with pytest.raises(OSError):
            while True:
                connection.writer.write(b"4000\r\n%s\r\n" % BODY)
                await connection.writer.drain()

    assert time.monotonic() - began < 5


async def test_silent_peer(mirror: Server) -> None:
    """A peer that neither sends the rest nor closes is cut off after a few seconds."""
    async with asyncio.timeout(SECONDS), await Connection.open(mirror.address()) as connection:
        connection.writer.write(head("Connection: close", "Content-Length: 900"))
        assert (await connection.answer()).status == 404
        assert await connection.reader.read() == b""
        with pytest.raises(OSError):
            while True:  # a byte now and then, fewer than were announced
                connection.writer.write(b"x")
                await connection.writer.drain()
                await asyncio.sleep(0.5)


@pytest.mark.parametrize(("target", "status"), [("/unread", 404), ("/raises", 500)])
@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_kept_connection_goes_on(mirror: Server, framing: str, target: str, status: int) -> None:
    """A kept connection skips the unread body and answers the next request."""
    body = bytes(300_000) + SMUGGLED
    async with asyncio.timeout(SECONDS), await Connection.open(mirror.address()) as connection:
        for number in range(20):
            if framing == "length":
                connection.send("POST", target, body)
            else:
                chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
                connection.writer.write(head("Transfer-Encoding: chunked", target=target) + chunked)
            refused = await connection.answer()
            answer = await connection.request("GET", f"/{number}")

            assert refused.status == status
            assert json.loads(answer.body) == answered("GET", f"/{number}", b"")


async def test_nothing_is_lost_under_reloads() -> None:
    """POSTs that are answered before they are read, through nginx while workers are replaced, are all answered."""
    outcomes: Counter[object] = Counter()
    expected = json.dumps(answered("POST", "/unread", b"")).encode()

    async def post(address: Address) -> None:
        while True:
            async with await Connection.open(address) as connection:
                while connection.reusable:
                    answer = await connection.request("POST", "/unread", BODY)
                    outcomes[answer.status if answer.body == expected else answer.body] += 1

    with serving("tests.live.mirror:application", PRESTART="none") as server, behind_nginx(server) as proxy:
        tasks = [asyncio.create_task(post(proxy.address)) for _ in range(16)]
        for _ in range(RELOADS):
            assert (await server.reload())[0] == 0
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)

    assert set(outcomes) == {404}
    assert outcomes.total() > 100
    assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends
