"""nginx's room for incoming bodies: one client can't take the room of others, and where it is full the answer is 503.

A client is an address: 127.0.0.1 is one, 127.0.0.2 another.
"""

import asyncio
import json
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from slipway.ops import nginx
from tests.harness.edge import Edge, RawAnswer, answers, slots
from tests.harness.processes import pause, running
from tests.harness.stack import secure
from tests.harness.stores import SmallDisk

SECONDS = 20.0
LIMIT = 1 << 20
ROOM = 16 << 20  # for eleven bodies of the largest size
LARGE = 900_000
MEDIUM = 50_000
SMALL = 2_000
STALLED = 40
END = b"!"  # the last byte of each body
KINDS = {
    "large, with its length": (b"Content-Length: %d\r\n" % LARGE, LARGE),
    "chunked": (b"Transfer-Encoding: chunked\r\n", LARGE),
}

pytestmark = pytest.mark.timeout(90)


@asynccontextmanager
async def edge(folder: Path, room: int = ROOM) -> AsyncIterator[Edge]:
    """Run nginx with this much room for bodies."""
    async with slots(folder, [takes_all]):
        with running(Edge(folder, max_body_bytes=LIMIT, body_room=room)) as proxy:
            yield proxy


async def takes_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read a body to its end and answer."""
    while not (await reader.read(1 << 16)).endswith(END):
        pass
    await answers(reader, writer)


class Upload:
    """A POST of one client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    @asynccontextmanager
    async def begun(cls, edge: Edge, client: str, fields: bytes, body: bytes) -> AsyncIterator["Upload"]:
        """Open a connection and send the first part of a POST."""
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port, local_addr=(client, 0))
        writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + fields + b"\r\n" + body)
        try:
            yield cls(reader, writer)
        finally:
            writer.transport.abort()

    async def answer(self, seconds: float = SECONDS) -> RawAnswer:
        """Read the answer; raise TimeoutError when none comes."""
        async with asyncio.timeout(seconds):
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = int(RawAnswer(head, b"").fields["content-length"])
            return RawAnswer(head, await self._reader.readexactly(length))


async def post(edge: Edge, client: str, size: int) -> RawAnswer:
    """Send a whole POST and return its answer."""
    async with Upload.begun(edge, client, b"Content-Length: %d\r\n" % size, b"x" * (size - 1) + END) as upload:
        return await upload.answer()


async def stalled(stack: AsyncExitStack, edge: Edge, client: str, kind: str, count: int) -> Counter[int]:
    """Begin uploads that stop one byte before their end; count the statuses of their answers, 0 for those that wait."""
    fields, size = KINDS[kind]
    body = b"x" * (size - 1) if b"Length" in fields else b"%x\r\n" % size + b"x" * size + b"\r\n"
    uploads = [await stack.enter_async_context(Upload.begun(edge, client, fields, body)) for _ in range(count)]

    async def status(upload: Upload) -> int:
        try:
            return (await upload.answer(3)).status
        except TimeoutError:
            return 0

    return Counter(await asyncio.gather(*map(status, uploads)))


@pytest.mark.parametrize("kind", KINDS)
async def test_one_client_leaves_room_for_others(folder: Path, kind: str) -> None:
    """A client's unfinished uploads beyond its share are refused with 503, and others' bodies of every size pass."""
    async with edge(folder) as proxy, AsyncExitStack() as stack:
        seen = await stalled(stack, proxy, "127.0.0.1", kind, STALLED)
        others = [(await post(proxy, "127.0.0.2", size)).status for size in (SMALL, MEDIUM, LARGE)]
        own = [(await post(proxy, "127.0.0.1", size)).status for size in (SMALL, MEDIUM)]

        assert {*seen} == {0, 503}, seen
        assert 0 < seen[0] < 11, seen
        assert others == [200, 200, 200]
        assert own == [200, 200]


async def test_many_clients_do_not_overfill_it(folder: Path) -> None:
    """Together the clients get the room there is; the rest is refused with problem details and a time to try again."""
    async with edge(folder) as proxy, AsyncExitStack() as stack:
        kind = "large, with its length"
        seen = sum([await stalled(stack, proxy, f"127.0.0.{n}", kind, 8) for n in range(1, 6)], Counter[int]())
        refused = await post(proxy, "127.0.0.9", LARGE)

        assert seen[0] * LIMIT <= ROOM
        assert {*seen} == {0, 503}
        assert json.loads(refused.body)["status"] == refused.status == 503
        assert refused.fields["content-type"] == "application/problem+json"
        assert refused.fields["retry-after"] == "1"


@pytest.mark.timeout(120)
async def test_three_hundred_uploads_that_stop(folder: Path) -> None:
    """With the default room even the same client's POSTs of every size succeed during 300 unfinished uploads."""
    async with edge(folder, nginx.BODY_ROOM) as proxy, AsyncExitStack() as stack:
        seen = await stalled(stack, proxy, "127.0.0.1", "large, with its length", 300)
        statuses = [(await post(proxy, "127.0.0.1", size)).status for size in (SMALL, MEDIUM, LARGE)]

        assert seen == {0: 300}
        assert statuses == [200, 200, 200]


async def test_room_is_free_again(folder: Path) -> None:
    """The share of unfinished uploads is free again when they are gone."""
    async with edge(folder) as proxy:
        async with AsyncExitStack() as stack:
            await stalled(stack, proxy, "127.0.0.1", "large, with its length", STALLED)
        async with asyncio.timeout(SECONDS):
            while (await post(proxy, "127.0.0.1", LARGE)).status != 200:
                await pause()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a file system takes root")
async def test_full_disk_is_told_as_503(folder: Path) -> None:
    """On a full disk a body that needs room is refused with 503, never with 500, and small ones pass."""
    bodies = folder / "nginx" / "client_body"
    bodies.mkdir(parents=True)
    disk = SmallDisk(bodies)
    disk.mount("4m")
    try:
        async with edge(folder) as proxy:
            disk.fill()
            refused = await post(proxy, "127.0.0.1", LARGE)
            small = await post(proxy, "127.0.0.1", SMALL)
    finally:
        disk.unmount()

    assert json.loads(refused.body)["status"] == refused.status == 503
    assert refused.fields["content-type"] == "application/problem+json"
    assert small.status == 200


async def test_short_bodies_of_http2_take_no_room(folder: Path) -> None:
    """Over HTTP/2, too, a client may send more short bodies of a known length at once than it may send large ones."""
    count, all_there = 20, asyncio.Event()
    heads: list[bytes] = []

    async def waits(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(END))
        if len(heads) == count:
            all_there.set()
        await asyncio.wait_for(all_there.wait(), SECONDS)
        await answers(reader, writer)

    settings = secure(folder)
    async with slots(folder, [waits]):
        with running(Edge(folder, max_body_bytes=LIMIT, body_room=ROOM, https=settings)):
            async with httpx.AsyncClient(http2=True, verify=False, timeout=SECONDS) as client:
                url = f"https://127.0.0.1:{settings.port}/"
                found = await asyncio.gather(*(client.post(url, content=b"short" + END) for _ in range(count)))

    assert {(answer.http_version, answer.status_code) for answer in found} == {("HTTP/2", 200)}
