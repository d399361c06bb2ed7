"""Malformed requests and floods over HTTP/2: refused by an answer, a reset or the end of the connection.

No other request results from them, and other clients are served meanwhile.
"""

import asyncio
import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, Event, ResponseReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError

from tests.harness.client import Address, request
from tests.harness.edge import hang_up
from tests.harness.stack import Nginx, Server, behind_nginx
from tests.live.turns import MOST_SECONDS, longest_turn

SECONDS = 10.0
QUIET_SECONDS = 1.0

Headers = list[tuple[bytes, bytes]]
METHOD, SCHEME, PATH, AUTHORITY = (
    (b":method", b"GET"),
    (b":scheme", b"https"),
    (b":path", b"/m"),
    (b":authority", b"localhost"),
)
GET: Headers = [METHOD, SCHEME, PATH, AUTHORITY]

# RFC 9113 section 8: field names, pseudo fields, connection-specific fields, values.
HEADERS: dict[str, Headers] = {
    "no method": [SCHEME, PATH, AUTHORITY],
    "no path": [METHOD, SCHEME, AUTHORITY],
    "no authority and no host": [METHOD, SCHEME, PATH],
    "two methods": [METHOD, METHOD, SCHEME, PATH, AUTHORITY],
    "two paths": [*GET, PATH],
    "two schemes": [METHOD, SCHEME, SCHEME, PATH, AUTHORITY],
    "two authorities": [*GET, (b":authority", b"other")],
    "an unknown pseudo field": [*GET, (b":version", b"HTTP/1.1")],
    "a pseudo field of answers": [*GET, (b":status", b"200")],
    "a pseudo field behind a field": [METHOD, SCHEME, PATH, (b"x", b"a"), AUTHORITY],
    "an empty path": [METHOD, SCHEME, (b":path", b""), AUTHORITY],
    "a relative path": [METHOD, SCHEME, (b":path", b"m"), AUTHORITY],
    "a path above the root": [METHOD, SCHEME, (b":path", b"/../m"), AUTHORITY],
    "a path with a blank": [METHOD, SCHEME, (b":path", b"/m HTTP/1.1\r\nx: a"), AUTHORITY],
    "a path with a line break": [METHOD, SCHEME, (b":path", b"/m\r\nx: a"), AUTHORITY],
    "a path with NUL": [METHOD, SCHEME, (b":path", b"/m\0"), AUTHORITY],
    "a method with a line break": [(b":method", b"GET /smuggled HTTP/1.1\r\n"), SCHEME, PATH, AUTHORITY],
    "a method in lower case": [(b":method", b"get"), SCHEME, PATH, AUTHORITY],
    "an empty method": [(b":method", b""), SCHEME, PATH, AUTHORITY],
    "a method with a blank": [(b":method", b"GET /smuggled"), SCHEME, PATH, AUTHORITY],
    "an authority with a line break": [METHOD, SCHEME, PATH, (b":authority", b"a\r\nx: b")],
    "an authority with a slash": [METHOD, SCHEME, PATH, (b":authority", b"a/b")],
    "an authority with a user": [METHOD, SCHEME, PATH, (b":authority", b"a@b")],
    "an empty authority": [METHOD, SCHEME, PATH, (b":authority", b"")],
    "a name in upper case": [*GET, (b"X-Upper", b"a")],
    "a name with a line break": [*GET, (b"x\r\ny", b"a")],
    "a name with a colon": [*GET, (b"x:y", b"a")],
    "a name with a blank": [*GET, (b"x y", b"a")],
    "a name with NUL": [*GET, (b"x\0y", b"a")],
    "an empty name": [*GET, (b"", b"a")],
    "a value with a line break": [*GET, (b"x", b"a\r\ntransfer-encoding: chunked")],
    "a value with a line feed": [*GET, (b"x", b"a\nhost: other")],
    "a value with NUL": [*GET, (b"x", b"a\0b")],
    "Transfer-Encoding": [*GET, (b"transfer-encoding", b"chunked")],
    "Connection": [*GET, (b"connection", b"upgrade"), (b"upgrade", b"h2c")],
    "a length that is none": [*GET, (b"content-length", b"x")],
    "two lengths": [*GET, (b"content-length", b"1"), (b"content-length", b"2")],
    "CONNECT": [(b":method", b"CONNECT"), AUTHORITY],
    "TRACE": [(b":method", b"TRACE"), SCHEME, PATH, AUTHORITY],
    "fields of 100 KB": [*GET, *((b"x-%d" % number, b"a" * 5_000) for number in range(20))],
    "5,000 fields": [*GET, *((b"x-%d" % number, b"a") for number in range(5_000))],
}
# Read by nginx as one request, without the field or as RFC 9113 lets a lenient server take it.
READ = {
    "a pseudo field behind a field",
    "a name in upper case",
    "a name with a blank",
    "Transfer-Encoding",
    "Connection",
    "an empty name",
}


@dataclass
class Client:
    """A connection that does not check what it sends, and keeps all events."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    http2: H2Connection
    events: list[Event] = field(default_factory=list)
    ended: bool = False

    @classmethod
    async def open(cls, port: int) -> "Client":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        lenient = H2Configuration(
            header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
        )
        client = cls(reader, writer, H2Connection(lenient))
        client.http2.initiate_connection()
        client.flush()
        return client

    def flush(self) -> None:
        self.writer.write(self.http2.data_to_send())

    def raw(self, kind: int, flags: int, stream: int, payload: bytes = b"") -> None:
        """Send a frame as it is: RFC 9113 section 4.1."""
        head = len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4)
        self.writer.write(head + payload)

    async def read(self, until: Callable[[Event], bool], seconds: float = SECONDS) -> None:
        """Read until such an event, the end of the connection, or the time-out."""
        with suppress(TimeoutError, ConnectionError, ssl.SSLError):
            async with asyncio.timeout(seconds):
                while not self.ended:
                    data = await self.reader.read(1 << 16)
                    self.ended = not data
                    try:
                        new = self.http2.receive_data(data)
                    except ProtocolError:  # about an answer to our own wrong frames
                        new = []
                    self.flush()
                    self.events += new
                    if any(until(event) for event in new):
                        return

    def statuses(self) -> list[int]:
        """Return the statuses of the answers."""
        fields = [dict(event.headers) for event in self.events if isinstance(event, ResponseReceived)]
        return [int(each[b":status"]) for each in fields]

    def refused(self) -> bool:
        """Return whether it was answered by a reset or the end of the connection."""
        return self.ended or any(isinstance(event, StreamReset | ConnectionTerminated) for event in self.events)

    def body(self) -> bytes:
        return b"".join(event.data for event in self.events if isinstance(event, DataReceived))


def over(event: Event) -> bool:
    return isinstance(event, StreamEnded | StreamReset | ConnectionTerminated)


@pytest.fixture(scope="module")
def edge(mirror: Server) -> Iterator[Nginx]:
    """The nginx before the mirror app, with HTTPS, too."""
    with behind_nginx(mirror, https=True) as proxy:
        yield proxy


async def seen(address: Address) -> list[str]:
    entries: list[str] = json.loads((await request(address, "GET", "/seen")).body)
    return [entry for entry in entries if not entry.endswith(("/seen", "/turn"))]


@pytest.mark.parametrize("kind", HEADERS)
async def test_headers(mirror: Server, edge: Nginx, kind: str) -> None:
    """Malformed headers get one problem or a reset, never a 500, and no part of them reaches the app as a request."""
    await longest_turn(mirror.address())
    before = len(await seen(mirror.address()))
    client = await Client.open(edge.https_port)
    client.http2.send_headers(1, HEADERS[kind], end_stream=True)
    client.flush()
    await client.read(over)
    await hang_up(client.writer)
    asked = (await seen(mirror.address()))[before:]
    turn = await longest_turn(mirror.address())

    assert turn < MOST_SECONDS
    assert len(client.statuses()) <= 1
    if kind in READ and client.statuses() == [200]:
        assert asked == ["GET /m"]
    else:
        assert asked == []
        assert client.refused() or client.statuses()[0] in (400, 404, 405, 414, 421, 431, 501, 505)
        if client.body():
            assert json.loads(client.body())["status"] == client.statuses()[0]


def ping_flood(client: Client) -> None:
    for _ in range(20_000):
        client.raw(6, 0, 0, bytes(8))


def settings_flood(client: Client) -> None:
    for _ in range(20_000):
        client.raw(4, 0, 0)


def window_flood(client: Client) -> None:
    for _ in range(20_000):
        client.raw(8, 0, 0, (1).to_bytes(4))


def window_overflow(client: Client) -> None:
    for _ in range(2):
        client.raw(8, 0, 0, (0x7FFFFFFF).to_bytes(4))


def window_of_nothing(client: Client) -> None:
    client.raw(8, 0, 0, bytes(4))


def rapid_reset(client: Client) -> None:
    """Reset each stream at once: CVE-2023-44487."""
    for stream in range(1, 20_000, 2):
        client.raw(1, 5, stream, client.http2.encoder.encode(GET))
        client.raw(3, 0, stream, (8).to_bytes(4))


def continuation_flood(client: Client) -> None:
    """Send a head that never ends: CVE-2024-27316."""
    client.raw(1, 0, 1, client.http2.encoder.encode(GET))
    for _ in range(10_000):
        client.raw(9, 0, 1, b"\x40\x01a\x64" + b"b" * 100)


def empty_frames(client: Client) -> None:
    client.raw(1, 4, 1, client.http2.encoder.encode([(b":method", b"POST"), SCHEME, PATH, AUTHORITY]))
    for _ in range(20_000):
        client.raw(0, 0, 1)


def data_on_no_stream(client: Client) -> None:
    client.raw(0, 0, 0, b"a")


def data_on_an_idle_stream(client: Client) -> None:
    client.raw(0, 0, 7, b"a")


def even_stream(client: Client) -> None:
    client.raw(1, 5, 2, client.http2.encoder.encode(GET))


def pushes(client: Client) -> None:
    client.raw(5, 4, 1, (2).to_bytes(4) + client.http2.encoder.encode(GET))


def frame_that_is_too_large(client: Client) -> None:
    client.raw(0, 0, 1, bytes(1 << 17))


def bad_compression(client: Client) -> None:
    client.raw(1, 5, 1, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")


def not_http2(client: Client) -> None:
    client.writer.write(b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n" * 10)


FLOODS = [
    ping_flood, settings_flood, window_flood, window_overflow, window_of_nothing, rapid_reset, continuation_flood,
    empty_frames, data_on_no_stream, data_on_an_idle_stream, even_stream, pushes, frame_that_is_too_large,
    bad_compression, not_http2,
]  # fmt: skip


@pytest.mark.parametrize("flood", FLOODS, ids=lambda flood: flood.__name__)
async def test_frames(mirror: Server, edge: Nginx, flood: Callable[[Client], None]) -> None:
    """Other clients are served meanwhile and afterwards, no loop is blocked, and only whole requests reach the app."""
    await longest_turn(mirror.address())
    client = await Client.open(edge.https_port)
    flood(client)
    with suppress(TimeoutError, ConnectionError, ssl.SSLError):
        async with asyncio.timeout(SECONDS):
            await client.writer.drain()
    reading = asyncio.create_task(client.read(lambda event: isinstance(event, ConnectionTerminated), QUIET_SECONDS))
    other = await request(edge.address, "GET", "/other")
    await reading
    await hang_up(client.writer)
    turn = await longest_turn(mirror.address())

    assert turn < MOST_SECONDS
    assert other.status == 200
    assert (await request(edge.address, "GET", "/after")).status == 200
    assert {*await seen(mirror.address())} <= {"GET /m", "GET /other", "GET /after", "POST /m"}
    assert 500 not in client.statuses()


def test_the_tables_are_long() -> None:
    """The tables have at least 40 kinds."""
    assert len(HEADERS) + len(FLOODS) >= 40
