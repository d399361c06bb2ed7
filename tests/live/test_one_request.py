"""One request stays one request: neither an upgrade that it offers nor the framing of its body makes another of it."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count, product

import pytest

from tests.harness.client import Address, Answer, Connection
from tests.harness.stack import Nginx, Server, behind_nginx
from tests.live.mirror import answered

SECONDS = 20.0
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n"
NUMBERS = count()

# An incomplete websocket handshake is refused; any other form is read as if it offered nothing.
FORMS: dict[str, tuple[str, ...]] = {
    "none": (),
    "h2c": ("Connection: Upgrade", "Upgrade: h2c"),
    "h2c with its settings": (
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQAAP__",
    ),
    "h2c, kept": ("Connection: keep-alive, Upgrade", "Upgrade: h2c"),
    "h2c without Connection": ("Upgrade: h2c",),
    "websocket without Connection": ("Upgrade: websocket",),
    "a list": ("Connection: upgrade", "Upgrade: h2c, websocket"),
    "a list the other way round": ("Connection: upgrade", "Upgrade: websocket, h2c"),
    "twice": ("Connection: upgrade", "Upgrade: h2c", "Upgrade: websocket"),
    "a version": ("Connection: upgrade", "Upgrade: websocket/13"),
    "TLS": ("Connection: upgrade", "Upgrade: TLS/1.0"),
    "empty": ("Connection: upgrade", "Upgrade:"),
    "cases and blanks": ("cONNECTION: \t uPGRADE", "uPGRADE: \t H2C "),
    "two fields of Connection": ("Connection: keep-alive", "Connection: Upgrade", "Upgrade: h2c"),
    "h2c, closed": ("Connection: close, upgrade", "Upgrade: h2c"),
    "websocket": ("Connection: Upgrade", "Upgrade: websocket"),
    "WEBSOCKET, kept": ("Connection: keep-alive, Upgrade", "Upgrade: WEBSOCKET"),
}
REFUSED = {"websocket", "WEBSOCKET, kept"}

FRAMINGS = ("none", "short", "long", "chunked", "pieces")


def body_of(framing: str) -> bytes:
    if framing == "none":
        return b""
    return b"x" * (300_000 - len(SMUGGLED) if framing == "long" else 1_000) + SMUGGLED


def request_of(method: str, path: str, fields: tuple[str, ...], framing: str) -> list[bytes]:
    """Return a request as the pieces in which it is written."""
    body = body_of(framing)
    length = "Transfer-Encoding: chunked" if framing == "chunked" else f"Content-Length: {len(body)}"
    head = "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *fields, length, "\r\n"]).encode()
    if framing == "chunked":
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:700], body[700:])) + b"0\r\n\r\n"
    if framing == "pieces":
        return [head[:20], head[20:], *(body[start : start + 300] for start in range(0, len(body), 300))]
    return [head + body]


async def exchange(connection: Connection, pieces: list[bytes]) -> Answer:
    for piece in pieces:
        connection.writer.write(piece)
        await asyncio.sleep(0.001 if len(pieces) > 1 else 0)
    return await connection.answer()


@pytest.fixture(scope="module")
def edge(mirror: Server) -> Iterator[Nginx]:
    """The nginx before the mirror app."""
    with behind_nginx(mirror) as proxy:
        yield proxy


@pytest.fixture(params=["worker", "nginx"])
def address(request: pytest.FixtureRequest, mirror: Server) -> Address:
    """The address that a client connects to."""
    found: Address = mirror.address() if request.param == "worker" else request.getfixturevalue("edge").address
    return found


async def seen(server: Server, begin: str) -> Counter[str]:
    """Return all requests that the app ever saw with this beginning of the path, and those that it must never see."""
    async with await Connection.open(server.address()) as connection:
        entries = json.loads((await connection.request("GET", "/seen")).body)
    return Counter(entry for entry in entries if entry.split()[1].startswith((begin, "/smuggled")))


@asynccontextmanager
async def neighbours(address: Address) -> AsyncIterator[list[str]]:
    """Run other clients on kept connections of their own; yield the list of wrong answers that they get."""
    wrong: list[str] = []

    async def neighbour(number: int) -> None:
        async with await Connection.open(address) as connection:
            for turn in count():
                path = f"/neighbour/{number}/{turn}"
                answer = await connection.request("GET", path)
                if json.loads(answer.body) != answered("GET", path, b""):
                    wrong.append(f"{path}: {answer.status} {answer.body!r}")
                await asyncio.sleep(0.005)

    tasks = [asyncio.create_task(neighbour(number)) for number in range(4)]
    try:
        yield wrong
    finally:
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if not isinstance(result, asyncio.CancelledError):
                wrong.append(repr(result))


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_no_offer_moves_the_end_of_a_body(mirror: Server, address: Address, method: str) -> None:
    """For every offer of an upgrade with every framing the app sees one whole request, and the next one is right."""
    begin = f"/{next(NUMBERS)}/"
    sent: Counter[str] = Counter()
    async with asyncio.timeout(SECONDS), neighbours(address) as wrong:
        connection = await Connection.open(address)
        for number, (form, framing) in enumerate(product(FORMS, FRAMINGS)):
            path = f"{begin}{number}"
            answer = await exchange(connection, request_of(method, path, FORMS[form], framing))
            if form in REFUSED:
                assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json"), form
            else:
                assert answer.status == 200, (form, framing, answer)
                assert json.loads(answer.body) == answered(method, path, body_of(framing)), (form, framing)
                sent[f"{method} {path}"] += 1
            if not connection.reusable:
                await connection.close()
                connection = await Connection.open(address)
            answer = await connection.request("GET", f"{path}/next")
            assert json.loads(answer.body) == answered("GET", f"{path}/next", b""), (form, framing)
            sent[f"GET {path}/next"] += 1
        await connection.close()

    assert not wrong
    assert await seen(mirror, begin) == sent


async def test_the_edge_passes_no_other_offer(edge: Nginx) -> None:
    """Behind nginx a request that is not a websocket handshake has neither `Connection` nor `Upgrade`."""
    async with asyncio.timeout(SECONDS):
        for form in FORMS.keys() - REFUSED:
            async with await Connection.open(edge.address) as connection:
                answer = await exchange(connection, request_of("GET", "/fields", FORMS[form], "short"))

            assert {"connection", "upgrade"}.isdisjoint(json.loads(answer.body)), form


@pytest.mark.parametrize("offer", ["none", "h2c"])
async def test_trailers_are_no_fields(mirror: Server, offer: str) -> None:
    """Fields that come after a body do not become fields of the request, which a proxy has already checked."""
    fields = "\r\n".join([*FORMS[offer], "Transfer-Encoding: chunked"])
    trailers = b"X-Forwarded-For: 6.6.6.6\r\nX-Trailer: 1\r\n\r\n"
    async with asyncio.timeout(SECONDS), await Connection.open(mirror.address()) as connection:
        for _ in range(2):
            connection.writer.write(f"POST /fields HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n".encode())
            connection.writer.write(b"1\r\na\r\n0\r\n" + trailers)
            names = json.loads((await connection.answer()).body)

            assert {"x-forwarded-for", "x-trailer"}.isdisjoint(names)
            assert "transfer-encoding" in names


async def test_refused_handshake_is_the_end_of_its_connection(mirror: Server) -> None:
    """Bytes behind a refused websocket handshake are not read as a request, and the answer arrives."""
    begin = f"/{next(NUMBERS)}/"
    for method, form, framing in product(("GET", "POST"), sorted(REFUSED), FRAMINGS):
        async with asyncio.timeout(SECONDS), await Connection.open(mirror.address()) as connection:
            answer = await exchange(connection, request_of(method, begin, FORMS[form], framing))
            connection.writer.write(SMUGGLED)

            assert answer.status == 400
            assert await connection.reader.read() == b""
    assert not await seen(mirror, begin)


async def test_pipelined(mirror: Server) -> None:
    """Pipelined requests are answered in their order, with or without offers among them."""
    begin = f"/{next(NUMBERS)}/"
    order = [("POST", form, framing) for form in ("none", "h2c", "a list", "empty") for framing in FRAMINGS] * 3
    async with asyncio.timeout(SECONDS), await Connection.open(mirror.address()) as connection:
        requests = [
            b"".join(request_of(method, f"{begin}{number}", FORMS[form], framing))
            for number, (method, form, framing) in enumerate(order)
        ]
        connection.writer.write(b"".join(requests))
        for number, (method, _, framing) in enumerate(order):
            answer = await connection.answer()

            assert json.loads(answer.body) == answered(method, f"{begin}{number}", body_of(framing))


async def test_handshake_behind_a_request(mirror: Server) -> None:
    """A handshake sent before the previous request is answered is refused, after that answer."""
    handshake = b"GET /ws/echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    async with asyncio.timeout(SECONDS), await Connection.open(mirror.address()) as connection:
        connection.writer.write(b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n" + handshake + SMUGGLED)
        first, second = await connection.answer(), await connection.answer()

        assert (first.status, second.status) == (200, 400)
        assert await connection.reader.read() == b""
    assert not await seen(mirror, "/none")


@pytest.mark.parametrize("upgrade", ["h2c", "websocket"])
async def test_http_1_0_has_no_upgrade(mirror: Server, address: Address, upgrade: str) -> None:
    """An upgrade that an HTTP/1.0 client offers is ignored."""
    head = f"POST /old HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\nContent-Length: 5\r\n\r\n"
    async with asyncio.timeout(SECONDS), await Connection.open(address) as connection:
        answer = await exchange(connection, [head.encode() + b"hello"])

    assert json.loads(answer.body) == answered("POST", "/old", b"hello")


async def test_connect(mirror: Server, address: Address) -> None:
    """CONNECT, after which parsers take everything for a tunnel, is refused, and nothing behind it is read."""
    async with asyncio.timeout(SECONDS), await Connection.open(address) as connection:
        connection.writer.write(b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n" + SMUGGLED)
        answer = await connection.answer()

    assert answer.status in (400, 405)
    assert not await seen(mirror, "/none")


@pytest.mark.parametrize("form", ["none", "h2c", "a list"])
async def test_continue(mirror: Server, form: str) -> None:
    """A client that offers an upgrade and waits for `100 Continue` gets it, and its body arrives."""
    fields = "\r\n".join([*FORMS[form], "Expect: 100-continue", "Content-Length: 5"])
    async with asyncio.timeout(SECONDS), await Connection.open(mirror.address()) as connection:
        for _ in range(2):
            connection.writer.write(f"POST /waits HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n".encode())
            status, _ = await connection.head()
            assert status == 100
            answer = await exchange(connection, [b"hello"])

            assert json.loads(answer.body) == answered("POST", "/waits", b"hello")


async def test_answer_before_the_continue_ends_the_connection(mirror: Server) -> None:
    """A client answered before `100 Continue` may leave the body out, so nothing more is read from its connection."""
    async with asyncio.timeout(SECONDS), await Connection.open(mirror.address()) as connection:
        connection.send("POST", "/unread", b"", f"Content-Length: {len(SMUGGLED)}", "Expect: 100-continue")
        answer = await connection.answer()

        assert (answer.status, answer.headers["connection"]) == (404, "close")
    assert not await seen(mirror, "/none")
