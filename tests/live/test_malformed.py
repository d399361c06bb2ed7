"""Each malformed request gets one answer, a problem, at the edge and at the worker's socket: never a 500, never two."""

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.harness.client import Address, request
from tests.harness.edge import hang_up
from tests.harness.stack import Nginx, Server, behind_nginx
from tests.live.malformed import TABLE
from tests.live.turns import MOST_SECONDS, longest_turn

SECONDS = 20.0
QUIET_SECONDS = 0.5  # for a second answer to arrive
AT_ONCE = 20

# Requests that RFC 9112 lets a lenient server accept; each is still one request.
READ_BY_NGINX = {
    *(f"field {text!r}" for text in (b"X", b"X\xff: a")),  # dropped, not passed on
    *(f"field {b'X' + sign + b': a'!r}" for sign in (b"(", b",", b";", b"/", b"[", b"{", b'"')),
    f"host {b'Host: a,b' + bytes([13, 10])!r}",
    "bare line feeds, a length behind one",
}
READ_BY_WORKER = {
    *(f"target {text!r}" for text in (b"/../m", b"/a/../../m")),  # the app decides what a path means
    *(f"field {text[:40]!r}" for text in (b"X: " + b"a" * 70, b"X" * 70)),  # nginx limits sizes
    *(f"host {text!r}" for text in (b"Host: a..b\r\n", b"Host: \r\n", b"Host: .\r\n", b"Host: a,b\r\n")),
}
# nginx reads bytes after a chunk's size as an extension, so the bytes behind the body are the next request.
EXTENDED = {"chunk b'1 \\x00\\r\\na\\r\\n0\\r\\n\\r\\n'", "chunk b'1 1\\r\\na\\r\\n0\\r\\n\\r\\n'"}
WAITS = {"chunk b'ffffffffffffffff\\r\\na\\r\\n0\\r\\n\\r\\n'"}  # for the rest of 16 EiB
BARE = {"version b''"}  # HTTP/0.9, whose answers have no head


@pytest.fixture(scope="module")
def edge(mirror: Server) -> Iterator[Nginx]:
    """The nginx before the mirror app."""
    with behind_nginx(mirror) as proxy:
        yield proxy


async def talk(address: Address, data: bytes) -> bytes:
    """Send bytes; return everything that comes back until the connection ends or is quiet."""
    opening = asyncio.open_unix_connection(address) if isinstance(address, str) else asyncio.open_connection(*address)
    reader, writer = await opening
    came = b""
    try:
        writer.write(data)
        with suppress(TimeoutError, ConnectionError):
            while part := await asyncio.wait_for(reader.read(1 << 16), QUIET_SECONDS if came else SECONDS / 4):
                came += part
    finally:
        await hang_up(writer)
    return came


async def answers(address: Address) -> dict[str, bytes]:
    """Return the answer to each request of the table."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def ask(data: bytes) -> bytes:
        async with gate:
            return await talk(address, data)

    return dict(zip(TABLE, await asyncio.gather(*map(ask, TABLE.values())), strict=True))


def assert_refused(name: str, came: bytes) -> None:
    """Check for one answer: a problem about the client's mistake or about an unsupported feature."""
    head, _, body = came.partition(b"\r\n\r\n") if name not in BARE or came[:5] == b"HTTP/" else (b"", b"", came)
    problem = json.loads(body)

    assert came.count(b"HTTP/1.1 ") == bool(head), (name, came)
    assert problem["status"] in (400, 405, 413, 414, 431, 501, 505), name
    assert problem.keys() == {"type", "title", "status", "detail", "request_id"}, name
    if head:
        assert int(head.split()[1]) == problem["status"], name
        assert b"application/problem+json" in head, name


def assert_read(name: str, came: bytes, count: int = 1) -> None:
    """Check that the bytes were read as `count` requests."""
    assert re.findall(rb"HTTP/1\.1 (\d+)", came) == [b"200"] * count, (name, came)


async def test_at_the_worker(mirror: Server) -> None:
    """The worker's own socket answers the whole table, and no request of it blocks the loop."""
    await longest_turn(mirror.address())
    for name, came in (await answers(mirror.address())).items():
        if name in READ_BY_WORKER:
            assert_read(name, came)
        elif name not in WAITS:
            assert_refused(name, came)

    assert 0 < await longest_turn(mirror.address()) < MOST_SECONDS
    seen = json.loads((await request(mirror.address(), "GET", "/seen")).body)
    assert not [entry for entry in seen if "smuggled" in entry]


async def test_at_the_edge(mirror: Server, edge: Nginx) -> None:
    """nginx answers the whole table; no request blocks the worker's loop, and the worker logs no failure of its own."""
    await longest_turn(mirror.address())
    before = len(json.loads((await request(mirror.address(), "GET", "/seen")).body))
    for name, came in (await answers(edge.address)).items():
        if name in READ_BY_NGINX or name in EXTENDED:
            assert_read(name, came, 1 + (name in EXTENDED))
        else:
            assert_refused(name, came)

    seen = json.loads((await request(mirror.address(), "GET", "/seen")).body)[before:]
    assert 0 < await longest_turn(mirror.address()) < MOST_SECONDS
    assert sum("smuggled" in entry for entry in seen) == len(EXTENDED)
    assert len(seen) == len(READ_BY_NGINX) + 2 * len(EXTENDED) + 1
    assert not [record for record in mirror.records() if record.get("level") in ("ERROR", "CRITICAL")]


def test_the_table_is_long() -> None:
    """The table has at least 150 kinds."""
    assert len(TABLE) >= 150
