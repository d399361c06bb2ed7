"""Limits of one client and of all together: excess is refused with a problem; others and health checks are served."""

import asyncio
import json
import re
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from slipway.ops.edge import CLIENT_CONNECTIONS, EdgeSettings, above, of
from slipway.ops.settings import ROOT
from tests.harness.edge import SECONDS, Edge, RawAnswer, answers, exchange, hang_up, silent, slots
from tests.harness.processes import running

CLIENT, OTHER = "127.0.0.1", "127.0.0.2"
HEALTH = "/readyz"


def get(target: str = "/", *fields: str) -> bytes:
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: localhost", *fields, "\r\n"]).encode()


def assert_refused(answer: RawAnswer, status: int) -> None:
    """Check for a problem with the request's id; a temporary refusal names a time to try again."""
    assert answer.status == status, answer
    assert answer.fields["content-type"] == "application/problem+json"
    assert json.loads(answer.body)["status"] == status
    assert json.loads(answer.body)["request_id"] == answer.fields["x-request-id"]
    assert answer.fields.get("retry-after") == ("1" if status in (429, 503) else None)


async def statuses(edge: Edge, count: int, data: bytes, source: str = CLIENT) -> list[int]:
    """Return the statuses of `count` successive requests, sent faster than any rate here."""
    return [(await exchange(edge.address, data, source=source)).status for _ in range(count)]


@asynccontextmanager
async def held(edge: Edge, count: int, data: bytes, refused: int = 0) -> AsyncIterator[None]:
    """Hold `count` connections that have sent this and get no answer, once `refused` more have got one."""
    async with AsyncExitStack() as stack:
        answers: list[asyncio.Task[bytes]] = []
        for _ in range(count + refused):
            reader, writer = await asyncio.open_connection(*edge.address, local_addr=(CLIENT, 0))
            stack.push_async_callback(hang_up, writer)
            writer.write(data)
            answers.append(asyncio.create_task(reader.read(1)))
            stack.callback(answers[-1].cancel)
        async with asyncio.timeout(SECONDS):
            while sum(answer.done() for answer in answers) < refused:
                await asyncio.wait([each for each in answers if not each.done()], return_when=asyncio.FIRST_COMPLETED)
        yield


async def until(edge: Edge, status: int, source: str, data: bytes = get()) -> RawAnswer:
    """Ask until this is the answer three times in a row: earlier requests may still be on their way, or just ending."""
    seen = 0
    async with asyncio.timeout(SECONDS):
        while True:
            with suppress(TimeoutError):
                answer = await asyncio.wait_for(exchange(edge.address, data, source=source), 0.5)
                seen = seen + 1 if answer.status == status else 0
                if seen == 3:
                    return answer


# Requests per second

RATE = {"CLIENT_REQUESTS_PER_SECOND": "5"}


async def test_too_many_requests_of_one_client(folder: Path) -> None:
    """Above the rate and one second's burst a client is refused; other clients and health checks are served."""
    async with slots(folder, [answers]) as served:
        with running(Edge(folder, settings=of(RATE))) as edge:
            start = time.monotonic()
            first = await asyncio.gather(*(exchange(edge.address, get()) for _ in range(60)))
            most = 2 + 5 * (2 + time.monotonic() - start)
            taken = sum(answer.status == 200 for answer in first)
            for answer in first:
                if answer.status != 200:
                    assert_refused(answer, 429)

            assert 5 <= taken <= most
            assert await statuses(edge, 5, get(), OTHER) == [200] * 5
            assert await statuses(edge, 40, get(HEALTH)) == [200] * 40
            asked = sum(len(slot.heads) for slot in served)
    assert asked == taken + 45


# Whether an address shares a limit with 2001:db8:1:2::1, and with 198.51.100.1.
NETWORKS = {
    "2001:db8:1:2::1": True,
    "2001:db8:1:2::2": True,
    "2001:db8:1:2:ffff:ffff:ffff:ffff": True,
    "2001:db8:1:3::1": False,
    "2001:db8:1:20::1": False,
    "2001:db8::1:2:0:1": False,
    "::ffff:198.51.100.1": False,
    "198.51.100.2": False,
}
IPV4 = {"198.51.100.1": True, "::ffff:198.51.100.1": True, "::ffff:198.51.100.2": False, "198.51.100.2": False}
SHARES = [
    *(("2001:db8:1:2::1", *row) for row in NETWORKS.items()),
    *(("::ffff:198.51.100.1", *row) for row in IPV4.items()),
]


@pytest.mark.parametrize(("client", "address", "shared"), SHARES)
async def test_client_is_its_network(folder: Path, client: str, address: str, shared: bool) -> None:
    """The addresses of one IPv6 /64 are one client; IPv4 addresses are separate, those at an IPv6 listener, too."""
    settings = of({"CLIENT_CONNECTIONS": "2", "TRUSTED_PROXIES": CLIENT})
    upload = UPLOAD.replace(b"Content", f"X-Forwarded-For: {client}\r\nContent".encode())
    async with slots(folder, [answers]):
        with running(Edge(folder, settings=settings)) as edge:
            async with held(edge, 2, upload, refused=1):
                answer = await exchange(edge.address, get("/", f"X-Forwarded-For: {address}"))

    assert (answer.status == 429) is shared


# Connections

UPLOAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345"
CHUNKED = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n"
HANDSHAKE = get(
    "/", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)  # fmt: skip
HELD = {
    "requests": ({"CLIENT_CONNECTIONS": "5"}, get(), get()),
    "websockets": ({"CLIENT_CONNECTIONS": "5"}, HANDSHAKE, HANDSHAKE),
    "slow bodies": ({"CLIENT_UPLOADS": "5"}, UPLOAD, UPLOAD),
    "slow chunked bodies": ({"CLIENT_UPLOADS": "5"}, CHUNKED, UPLOAD),
}


@pytest.mark.parametrize(("limit", "data", "one_more"), HELD.values(), ids=HELD)
async def test_too_many_connections_of_one_client(
    folder: Path, limit: dict[str, str], data: bytes, one_more: bytes
) -> None:
    """Beyond its share a client is refused at once, and other clients are accepted."""
    async with slots(folder, [silent, silent]):
        with running(Edge(folder, settings=of(limit))) as edge:
            async with held(edge, 5, data, refused=1):
                assert_refused(await exchange(edge.address, one_more), 429)
                reader, writer = await asyncio.open_connection(*edge.address, local_addr=(OTHER, 0))
                writer.write(one_more)
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(reader.read(1), 0.3)
                await hang_up(writer)


async def test_bodies_are_limited_and_the_rest_is_not(folder: Path) -> None:
    """A client at its limit of uploads still gets answers to requests without a body."""
    async with slots(folder, [answers]):
        with running(Edge(folder, settings=of({"CLIENT_UPLOADS": "3"}))) as edge:
            async with held(edge, 3, UPLOAD, refused=1):
                assert_refused(await exchange(edge.address, UPLOAD), 429)
                assert await statuses(edge, 5, get()) == [200] * 5


@pytest.mark.parametrize("data", [b"", b"GET / HTT", UPLOAD], ids=["silent", "half a head", "half a body"])
async def test_all_connections_together(folder: Path, data: bytes) -> None:
    """At the limit of all clients, others get a 503 at once, and health checks are answered."""
    async with slots(folder, [answers]):
        with running(Edge(folder, settings=of({"MAX_CONNECTIONS": "20"}))) as edge:
            async with held(edge, 20, data):
                assert_refused(await until(edge, 503, OTHER), 503)
                assert await statuses(edge, 5, get(HEALTH), OTHER) == [200] * 5
            assert (await until(edge, 200, OTHER)).status == 200


# Sizes and times

SIZES: dict[str, tuple[dict[str, str], bytes, int]] = {
    "path at the limit": ({"MAX_URI_BYTES": "100"}, get("/" + "a" * 99), 200),
    "path over the limit": ({"MAX_URI_BYTES": "100"}, get("/" + "a" * 100), 414),
    "query over the limit": ({"MAX_URI_BYTES": "100"}, get("/?" + "a" * 99), 414),
    "health path over the limit": ({"MAX_URI_BYTES": "100"}, get(f"{HEALTH}?" + "a" * 99), 414),
    "path over the default": ({}, get("/" + "a" * 8_000), 414),
    "path at the default": ({}, get("/" + "a" * 7_999), 200),
    "line at the limit": ({"MAX_LINE_BYTES": "2000"}, get("/", "X: " + "a" * 1_900), 200),
    "line over the limit": ({"MAX_LINE_BYTES": "2000"}, get("/", "X: " + "a" * 2_100), 431),
    "request line over the limit": ({"MAX_LINE_BYTES": "2000"}, get("/" + "a" * 2_100), 414),
    "long line": ({"MAX_LINE_BYTES": "20000"}, get("/", "X: " + "a" * 19_000), 200),
    "long path": ({"MAX_LINE_BYTES": "20000", "MAX_URI_BYTES": "19000"}, get("/" + "a" * 18_900), 200),
    "headers over the limit": (
        {"MAX_LINE_BYTES": "2000", "MAX_HEADER_BYTES": "6000"},
        get("/", *[f"X-{number}: " + "a" * 1_500 for number in range(6)]),
        431,
    ),
    "headers below it": (
        {"MAX_LINE_BYTES": "2000", "MAX_HEADER_BYTES": "16000"},
        get("/", *[f"X-{number}: " + "a" * 1_500 for number in range(6)]),
        200,
    ),
}


async def test_sizes(folder: Path) -> None:
    """Each size limit is a setting, and nginx refuses requests above it."""
    async with slots(folder, [answers]):
        for name, (settings, data, status) in SIZES.items():
            with running(Edge(folder, settings=of(settings))) as edge:
                answer = await exchange(edge.address, data)

                assert answer.status == status, (name, answer)
                if status != 200:
                    assert_refused(answer, status)


SLOW = {"nothing": b"", "half a line": b"GET / HTT", "half a head": b"GET / HTTP/1.1\r\nHost: a\r\nX: "}


async def test_slow_headers(folder: Path) -> None:
    """A client that drips its head is disconnected after HEADER_TIMEOUT, however it drips."""
    async with slots(folder, [answers]):
        with running(Edge(folder, settings=of({"HEADER_TIMEOUT": "1"}))) as edge:
            start = time.monotonic()
            await asyncio.gather(*(_drip(edge, data) for data in SLOW.values()))
            seconds = time.monotonic() - start

    assert 0.5 < seconds < 3


async def _drip(edge: Edge, data: bytes) -> None:
    """Send this, then a byte ten times a second, until the connection ends."""
    reader, writer = await asyncio.open_connection(*edge.address)
    ended = asyncio.ensure_future(reader.read())
    writer.write(data)
    async with asyncio.timeout(SECONDS):
        while not ended.done():
            if data:
                writer.write(b"a")
            await asyncio.wait({ended}, timeout=0.1)
    await hang_up(writer)
    ended.exception()


# Numbers


@pytest.mark.parametrize("most", [1, 9, 10, 19, 20, 99, 100, 109, 199, 800, 7_808, 9_999, 10_000, 15_616, 99_999])
def test_pattern_of_too_large_numbers(most: int) -> None:
    """The pattern matches each number above the limit and no other; container.sh makes the same."""
    pattern = re.compile(rf"\b(?:{above(most)})\b")
    numbers = {*range(300), *range(max(0, most - 30), most + 30), 10 * most, 10 * most + 5, most // 10, 999_999}
    script = re.search(r"awk -v most=\"\$most\" '(BEGIN .*?)'\)", (ROOT / "nginx/container.sh").read_text(), re.DOTALL)
    assert script
    shell = subprocess.run(["awk", "-v", f"most={most}", script[1]], capture_output=True, text=True, check=True).stdout

    assert [number for number in numbers if bool(pattern.search(f"1 {number} 0")) != (number > most)] == []
    assert shell == above(most)


def test_defaults_are_written_down() -> None:
    """nginx/edge.conf, which a container starts with before `make` has written another, has the defaults."""
    assert (ROOT / "nginx/edge.conf").read_text() == of({}).configuration()


@pytest.mark.parametrize(
    ("workers", "held_by_each", "most"), [(1, 16_384, 7_808), (8, 16_384, 62_464), (1, 1_024, 256), (2, 4_096, 3_328)]
)
def test_default_of_all_connections(workers: int, held_by_each: int, most: int) -> None:
    """The default is half of nginx's connections, less a reserve; one client's share is at most about a tenth of it."""
    assert EdgeSettings().crowded(workers, held_by_each) == above(most)
    assert workers * 16_384 // 2 >= 10 * CLIENT_CONNECTIONS
