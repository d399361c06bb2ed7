"""What the server answers in an app's place: problem details with the request's id, while the app is asked once."""

import asyncio
import json
from collections.abc import Iterator

import pytest

from tests.harness.client import Address, Answer, Connection
from tests.harness.processes import until
from tests.harness.stack import Nginx, Server, behind_nginx, serving
from tests.live.mirror import FAILURES, LATE_FAILURES

SECONDS = 10.0
WORKERS = 3  # a proxy that repeats a request would reach the others


@pytest.fixture(scope="module")
def mirror() -> Iterator[Server]:
    """The mirror app in one worker, whose connections are kept from the start: no slot is ever lent."""
    with serving("tests.live.mirror:application", workers=1, PRESTART="none", ACCESS_LOG="1") as server:
        yield server


@pytest.fixture(scope="module")
def several() -> Iterator[Server]:
    """The mirror app in several workers."""
    with serving("tests.live.mirror:application", workers=WORKERS, PRESTART="none") as server:
        yield server


@pytest.fixture(scope="module")
def edges(mirror: Server, several: Server) -> Iterator[dict[str, Nginx]]:
    """The nginx before each of the two servers."""
    with behind_nginx(mirror) as one, behind_nginx(several) as another:
        yield {"mirror": one, "several": another}


@pytest.fixture(params=["worker", "nginx"])
def address(request: pytest.FixtureRequest, mirror: Server) -> Address:
    """The address that a client of the one worker connects to."""
    found: Address = mirror.address()
    return found if request.param == "worker" else request.getfixturevalue("edges")["mirror"].address


@pytest.fixture(params=["worker", "nginx"])
def any_address(request: pytest.FixtureRequest, several: Server) -> Address:
    """The address that a client of the several workers connects to."""
    found: Address = several.address()
    return found if request.param == "worker" else request.getfixturevalue("edges")["several"].address


async def ask(address: Address, *pieces: bytes) -> Answer:
    """Send bytes and return the answer; check that the connection ends if the answer says so."""
    async with asyncio.timeout(SECONDS), await Connection.open(address) as connection:
        for piece in pieces:
            connection.writer.write(piece)
        answer = await connection.answer()
        if answer.headers.get("connection") == "close":
            assert await connection.reader.read() == b""
        return answer


def assert_problem(answer: Answer, status: int, request_id: str = "") -> None:
    body = json.loads(answer.body)
    assert answer.status == body["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(body) == {"type", "title", "status", "detail", "request_id"}
    assert all(body.values())
    assert body["request_id"] == answer.headers["x-request-id"]
    assert request_id in ("", body["request_id"])


def get(path: str, *fields: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *fields, "\r\n"]).encode()


async def times_asked(server: Server, entry: str) -> int:
    """Return how often the apps of all workers have noted a request.

    After a start a worker may also answer in another's slot, so the slots are asked until each worker has answered.
    """
    seen: dict[int, list[str]] = {}
    async with asyncio.timeout(SECONDS):
        while len(seen) < server.workers:
            answers = [await ask(server.address(slot), get("/worker")) for slot in range(server.workers)]
            seen = {worker["pid"]: worker["seen"] for worker in (json.loads(answer.body) for answer in answers)}
    return sum(entries.count(entry) for entries in seen.values())


@pytest.mark.parametrize("path", FAILURES)
async def test_app_that_fails_is_asked_once(several: Server, any_address: Address, path: str) -> None:
    """An app that fails before anything is sent runs once, and the client gets a 500 with the request's id."""
    before = await times_asked(several, f"GET {path}")
    answer = await ask(any_address, get(path, "X-Request-ID: id-1"))

    assert_problem(answer, 500, "id-1" if isinstance(any_address, str) else "")
    assert await times_asked(several, f"GET {path}") == before + 1


@pytest.mark.parametrize("path", FAILURES)
async def test_app_that_fails_over_a_head(several: Server, any_address: Address, path: str) -> None:
    """The same holds for HEAD, whose answer has no body."""
    if path == "/too_long":
        return  # a HEAD's body is left out, however long
    before = await times_asked(several, f"HEAD {path}")
    async with asyncio.timeout(SECONDS), await Connection.open(any_address) as connection:
        connection.writer.write(get(path, method="HEAD"))
        status, fields = await connection.head()

    assert (status, fields["content-type"]) == (500, "application/problem+json")
    assert await times_asked(several, f"HEAD {path}") == before + 1


async def recorded(server: Server, request_id: str) -> tuple[int, int]:
    """Return the status and the number of bytes in the access record with this id."""
    mark = f'"request_id":"{request_id}"'
    found: list[dict[str, int]] = []

    def find() -> bool:
        lines = [line for line in server.log().splitlines() if mark in line and '"logger":"access"' in line]
        found[:] = map(json.loads, lines)
        return bool(found)

    await until(find, SECONDS, "the record")
    (record,) = found
    return record["status"], record["bytes_out"]


@pytest.mark.parametrize("path", [*FAILURES, *LATE_FAILURES, "/unread"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_record_says_what_the_client_got(mirror: Server, method: str, path: str) -> None:
    """The access record has the status that the client got, whatever the app had begun to answer before it failed."""
    request_id = f"{method}{path.replace('/', '-')}"
    expects = ["Expect: 100-continue", "Content-Length: 1"] if method == "POST" else []
    async with asyncio.timeout(SECONDS), await Connection.open(mirror.address()) as connection:
        connection.writer.write(get(path, f"X-Request-ID: {request_id}", *expects, method=method))
        status, _ = await connection.head()
        if status == 100:
            status, _ = await connection.head()

    assert (await recorded(mirror, request_id))[0] == status


async def test_record_of_a_body_that_can_not_be_parsed(mirror: Server) -> None:
    """The record of a body that can't be parsed has the server's refusal, which was sent while the app waited."""
    head = get("/body", "Transfer-Encoding: chunked", "X-Request-ID: id-6", method="POST")
    answer = await ask(mirror.address(), head + b"5\r\nhello\r\nx\r\n")

    assert await recorded(mirror, "id-6") == (answer.status, 0)
    assert answer.status == 400


MALFORMED: dict[str, bytes] = {
    "no request": b"hello\r\n\r\n",
    "an unknown method": b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n",
    "a lower-case method": b"get / HTTP/1.1\r\nHost: a\r\n\r\n",
    "a wrong version": b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a control byte in a field": b"GET / HTTP/1.1\r\nHost: a\r\nX-A: \x01\r\n\r\n",
    "a blank in a name": b"GET / HTTP/1.1\r\nHost: a\r\nX A: 1\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a length that is no number": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
    "length and chunks": b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk without a size": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    "a path that is none": b"GET http:// HTTP/1.1\r\nHost: a\r\n\r\n",
    "bytes of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("kind", MALFORMED)
async def test_malformed_request(mirror: Server, kind: str) -> None:
    """A request that can't be parsed is answered 400 as problem details, and its connection is closed."""
    assert_problem(await ask(mirror.address(), MALFORMED[kind]), 400)


async def test_malformed_request_has_its_id(mirror: Server) -> None:
    """The id set by the proxy is in the answer even though the head could not be read to its end."""
    answer = await ask(mirror.address(), b"GET / HTTP/1.1\r\nX-Request-ID: id-2\r\nHost: a\r\nX A: 1\r\n\r\n")

    assert_problem(answer, 400, "id-2")


async def test_id_of_an_earlier_request(mirror: Server) -> None:
    """A request that can't be parsed gets no other request's id."""
    async with asyncio.timeout(SECONDS), await Connection.open(mirror.address()) as connection:
        await connection.request("GET", "/first", b"", "X-Request-ID: id-3")
        connection.writer.write(b"hello\r\n\r\n")
        answer = await connection.answer()

    assert_problem(answer, 400)
    assert answer.headers["x-request-id"] != "id-3"


async def test_malformed_request_behind_others(mirror: Server) -> None:
    """A request that can't be parsed is answered in its turn, after the requests sent before it."""
    async with asyncio.timeout(SECONDS), await Connection.open(mirror.address()) as connection:
        connection.writer.write(get("/1") + get("/2", method="HEAD") + get("/3") + b"hello\r\n\r\n")
        first, (second, _), third = await connection.answer(), await connection.head(), await connection.answer()
        last = await connection.answer()

        assert (first.status, second, third.status) == (200, 200, 200)
        assert_problem(last, 400)
        assert await connection.reader.read() == b""


@pytest.mark.parametrize("before", [b"", get("/1"), get("/1") + get("/2")], ids=["alone", "second", "third"])
async def test_malformed_body(mirror: Server, before: bytes) -> None:
    """A body that can't be parsed is answered 400, after the answers before it."""
    head = get("/body", "Transfer-Encoding: chunked", "X-Request-ID: id-4", method="POST")
    async with asyncio.timeout(SECONDS), await Connection.open(mirror.address()) as connection:
        connection.writer.write(before + head + b"5\r\nhello\r\nx\r\n")
        for _ in range(before.count(b"GET")):
            assert (await connection.answer()).status == 200

        assert_problem(await connection.answer(), 400, "id-4")
        assert await connection.reader.read() == b""


KEY, VERSION = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Version: 13"
OFFER = ("Connection: Upgrade", "Upgrade: websocket")
HANDSHAKES: dict[str, tuple[bytes, ...]] = {
    "a body": (get("/ws/echo", *OFFER, KEY, VERSION, "Content-Length: 5"), b"hello"),
    "a long body": (get("/ws/echo", *OFFER, KEY, VERSION, "Content-Length: 300000"), bytes(300_000)),
    "a chunked body": (get("/ws/echo", *OFFER, KEY, VERSION, "Transfer-Encoding: chunked"), b"1\r\na\r\n0\r\n\r\n"),
    "POST": (get("/ws/echo", *OFFER, KEY, VERSION, method="POST"),),
    "PUT": (get("/ws/echo", *OFFER, KEY, VERSION, method="PUT"),),
    "129 fields": (get("/ws/echo", *OFFER, KEY, VERSION, *(f"X-{number}: 1" for number in range(129))),),
    "a field over 8 KiB": (get("/ws/echo", *OFFER, KEY, VERSION, f"X-A: {'a' * 8_190}"),),
    "a path over 8 KiB": (get(f"/ws/echo?{'a' * 8_170}", *OFFER, KEY, VERSION),),
    "no key": (get("/ws/echo", *OFFER, VERSION),),
    "a short key": (get("/ws/echo", *OFFER, "Sec-WebSocket-Key: AAAA", VERSION),),
    "a key that is not base64": (get("/ws/echo", *OFFER, "Sec-WebSocket-Key: ????", VERSION),),
    "a key of other bytes": (get("/ws/echo", *OFFER, "Sec-WebSocket-Key: \u00e4\u00f6", VERSION),),
    "two keys": (get("/ws/echo", *OFFER, KEY, KEY, VERSION),),
    "no version": (get("/ws/echo", *OFFER, KEY),),
    "another version": (get("/ws/echo", *OFFER, KEY, "Sec-WebSocket-Version: 8"),),
    "two versions": (get("/ws/echo", *OFFER, KEY, VERSION, VERSION),),
    "a version that is no number": (get("/ws/echo", *OFFER, KEY, "Sec-WebSocket-Version: x"),),
    "two origins": (get("/ws/echo", *OFFER, KEY, VERSION, "Origin: http://a", "Origin: http://b"),),
    "a subprotocol that is none": (get("/ws/echo", *OFFER, KEY, VERSION, "Sec-WebSocket-Protocol: a b"),),
}
AT_NGINX_ALREADY = {"a field over 8 KiB": 431, "a path over 8 KiB": 414}


@pytest.mark.parametrize("kind", HANDSHAKES)
async def test_wrong_handshake(mirror: Server, address: Address, kind: str) -> None:
    """An invalid handshake is refused at once with problem details, and its connection is closed."""
    answer = await ask(address, *HANDSHAKES[kind])

    assert_problem(answer, 400 if isinstance(address, str) else AT_NGINX_ALREADY.get(kind, 400))


async def test_handshake_whose_body_does_not_come(mirror: Server) -> None:
    """A handshake that announces a body is answered before the body comes."""
    answer = await ask(mirror.address(), get("/ws/echo", *OFFER, KEY, VERSION, "Content-Length: 5"))

    assert_problem(answer, 400)


@pytest.mark.parametrize(("path", "status"), [("/ws/refuses", 403), ("/ws/fails", 500)])
async def test_handshake_that_the_app_refuses(mirror: Server, address: Address, path: str, status: int) -> None:
    """The server's own answer for an app that refuses or fails is problem details, too."""
    answer = await ask(address, get(path, *OFFER, KEY, VERSION, "X-Request-ID: id-5"))

    assert_problem(answer, status, "id-5" if isinstance(address, str) else "")


async def test_handshake_under_way_at_the_end() -> None:
    """A handshake that the app has not answered when the server stops gets a 503, and the server ends cleanly."""
    with serving("tests.live.mirror:application", workers=1, PRESTART="none") as server:
        async with asyncio.timeout(20), await Connection.open(server.address()) as connection:
            connection.writer.write(get("/ws/waits", *OFFER, KEY, VERSION))
            assert await _is_served(server)
            server.signal(15)

            assert_problem(await connection.answer(), 503)
        assert await server.exit_code(10) == 0
        assert "Traceback" not in server.log()


async def _is_served(server: Server) -> bool:
    """Return whether a later request is answered, which shows that the app has the handshake before it."""
    async with await Connection.open(server.address()) as connection:
        return (await connection.request("GET", "/")).status == 200
