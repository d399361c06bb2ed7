"""Middleware: request ids and records, errors, origins, limits."""

import asyncio
import gc
import logging
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.asgi.errors import Disconnected, HTTPError
from app.asgi.exchange import Exchange, Exchanges
from app.asgi.middleware import Errors, Limits
from app.asgi.origins import Origins
from app.asgi.request import Request
from app.asgi.response import Response
from app.asgi.routing import Route, Router, websocket
from app.asgi.types import ASGIApp, Header, Message, Receive, Scope, Send
from app.asgi.websocket import WebSocket
from tests.driver import Conversation, http_scope, request, websocket_scope

Recorded = list[tuple[int, int]]  # status and bytes of body


async def ok(scope: Scope, receive: Receive, send: Send) -> None:
    await Response.text("ok")(scope, receive, send)


async def other(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "other"})


def raising(error: Exception) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    return app


def accepting(handler: Callable[[WebSocket], Awaitable[None]]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await handler(WebSocket(scope, receive, send, max_message_bytes=64))

    return app


@pytest.mark.parametrize(
    "wrap",
    [
        lambda app: Exchanges(app),
        lambda app: Errors(app),
        lambda app: Origins(app, frozenset({"https://a.example"})),
        lambda app: Limits(app, requests=0, websockets=0),
    ],
    ids=["Exchanges", "Errors", "Origins", "Limits"],
)
async def test_foreign_scope_types_go_through(wrap: Callable[[ASGIApp], ASGIApp]) -> None:
    """A scope type that is not its own is the inner app's."""
    async with Conversation(wrap(other), {"type": "lifespan"}) as talk:
        assert await talk.take() == {"type": "other"}
        await talk.end()


# Exchanges


def silent(scope: Scope, exchange: Exchange) -> None:
    """A record of nothing."""


@pytest.mark.parametrize("given", [b"a", b"0-9.A_z", b"x" * 64])
async def test_request_id_is_taken(given: bytes) -> None:
    """A sane id of the caller comes back."""
    answer = await request(Exchanges(ok, silent), "GET", "/", [(b"x-request-id", given)])

    assert answer.header("x-request-id") == given.decode()


@pytest.mark.parametrize("given", [b"", b"x" * 65, b"a b", b"a\n", b"\xff", b'"', b"a,b"])
async def test_request_id_is_refused(given: bytes) -> None:
    """Any other is replaced, since it goes into logs."""
    answer = await request(Exchanges(ok, silent), "GET", "/", [(b"x-request-id", given)])
    made = answer.header("x-request-id")

    assert made is not None
    assert len(made) == 32
    assert int(made, 16) >= 0


async def test_request_id_is_made() -> None:
    """Without one each request gets its own."""
    app = Exchanges(ok, silent)
    ids = {(await request(app, "GET", "/")).header("x-request-id") for _ in range(100)}

    assert len(ids) == 100


async def test_request_id_without_record() -> None:
    """Where nothing is recorded, responses carry no id but those of errors, in their body."""
    answer = await request(Exchanges(Errors(raising(LookupError()))), "GET", "/", [(b"x-request-id", b"abc")])

    assert (answer.status, answer.json()["request_id"]) == (500, "abc")
    assert answer.header("x-request-id") is None


def recorder() -> tuple[Recorded, Callable[[Scope, Exchange], None]]:
    records: Recorded = []
    return records, lambda scope, exchange: records.append((exchange.status, exchange.sent))


async def test_record() -> None:
    """A request is reported once when it is over, with what was sent."""
    records, record = recorder()
    await request(Exchanges(ok, record), "GET", "/")

    assert records == [(200, 2)]


async def test_record_of_a_failure() -> None:
    """One that raises before it has answered is reported too, with status 0."""
    records, record = recorder()
    with pytest.raises(LookupError):
        await request(Exchanges(raising(LookupError()), record), "GET", "/")

    assert records == [(0, 0)]


async def test_record_of_a_websocket() -> None:
    """A websocket is reported as 101 when it ends, and carries the request id."""
    records, record = recorder()

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        await socket.receive()

    async with Conversation(Exchanges(accepting(handler), record), websocket_scope("/")) as talk:
        talk.give("websocket.connect")
        accept = await talk.take("websocket.accept")
        assert [name for name, _ in accept["headers"]] == [b"x-request-id"]
        assert records == []
        talk.give("websocket.receive", text="x")
        await talk.end()

    assert records == [(101, 0)]


async def test_nothing_is_left_for_the_garbage_collector() -> None:
    """A request ends without a circle of references, also where the server's `send` knows the scope."""
    app = Exchanges(Origins(Errors(Limits(ok, requests=1, websockets=1)), frozenset()), silent)

    async def receive() -> Message:
        raise AssertionError

    class Cycle:
        def __init__(self) -> None:
            self.scope = http_scope("GET", "/")

        async def send(self, message: Message) -> None:
            pass

    cycle = Cycle()
    known = weakref.ref(cycle)
    gc.disable()
    try:
        await app(cycle.scope, receive, cycle.send)
        del cycle

        assert known() is None
    finally:
        gc.enable()


async def test_what_is_sent_too_late_is_an_error() -> None:
    """A task that outlives its request is told what it did; nothing reaches the server."""
    kept: list[Send] = []

    async def keeping(scope: Scope, receive: Receive, send: Send) -> None:
        kept.append(send)
        await ok(scope, receive, send)

    answer = await request(Exchanges(keeping), "GET", "/")

    assert answer.status == 200
    with pytest.raises(RuntimeError, match=r"'http\.response\.body' is sent, but the app has returned"):
        await kept[0]({"type": "http.response.body"})


async def test_counts() -> None:
    """What is open and what has been are counted, failures included."""
    go = asyncio.Event()

    async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
        await go.wait()
        raise LookupError

    app = Exchanges(waiting, None)
    async with Conversation(app, http_scope("GET", "/")) as first, Conversation(app, http_scope("GET", "/")) as second:
        await first.nothing()
        assert (app.open, app.total) == ({"http": 2, "websocket": 0}, 2)
        go.set()
        for talk in (first, second):
            with pytest.raises(LookupError):
                await talk.end()

    assert (app.open, app.total) == ({"http": 0, "websocket": 0}, 2)


# Errors


def with_errors(app: ASGIApp, known: dict[type[Exception], Callable[[Any], HTTPError]] | None = None) -> ASGIApp:
    return Exchanges(Errors(app, known), silent)


async def test_http_error_is_a_problem() -> None:
    """An HTTPError is answered as it says, with the request's id."""
    error = HTTPError(405, "No.", headers=[(b"allow", b"GET")])
    answer = await request(with_errors(raising(error)), "POST", "/", [(b"x-request-id", b"id-1")])

    assert (answer.status, answer.header("allow")) == (405, "GET")
    assert answer.header("content-type") == "application/problem+json"
    assert answer.json()["request_id"] == answer.header("x-request-id") == "id-1"


async def test_known_error_is_translated(caplog: pytest.LogCaptureFixture) -> None:
    """An exception of a service, or a subclass of it, becomes what the table says; its cause is logged, in one line."""
    error = KeyError("a")
    error.__cause__ = OSError("disk full\nINSERT secret")
    app = with_errors(raising(error), {LookupError: lambda error: HTTPError(503, str(error))})
    answer = await request(app, "GET", "/")

    assert (answer.status, answer.json()["detail"]) == (503, "'a'")
    (record,) = caplog.records
    assert (record.message, record.__dict__["request_id"]) == ("disk full", answer.json()["request_id"])


async def test_unknown_error_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    """Anything else is a 500 that tells the client nothing, and the log all under the same id."""
    answer = await request(with_errors(raising(LookupError("secret"))), "GET", "/")

    assert answer.status == 500
    assert b"secret" not in answer.body
    (record,) = caplog.records
    assert record.__dict__["request_id"] == answer.json()["request_id"]
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "secret"


async def test_error_of_head_has_no_body() -> None:
    """An error's answer to HEAD has no body either."""
    answer = await request(with_errors(raising(HTTPError(404))), "HEAD", "/")

    assert (answer.status, answer.body) == (404, b"")


async def test_error_after_the_start(caplog: pytest.LogCaptureFixture) -> None:
    """Once the response has started an error is logged and raised, so that the server cuts the connection."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise LookupError("late")

    async with Conversation(with_errors(app), http_scope("GET", "/")) as talk:
        await talk.take("http.response.start")
        with pytest.raises(LookupError, match="late"):
            await talk.end()

    assert caplog.messages == ["failed after the response had started"]


async def test_disconnected_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """A client that left is answered nothing, and nobody is told."""
    caplog.set_level(logging.DEBUG, "app")
    async with Conversation(with_errors(raising(Disconnected())), http_scope("GET", "/")) as talk:
        await talk.end()

    assert caplog.messages == []


async def test_error_before_a_websocket_is_accepted() -> None:
    """Before the accept an error is the answer to the handshake."""
    async with Conversation(with_errors(raising(HTTPError(404, "No."))), websocket_scope("/")) as talk:
        talk.give("websocket.connect")
        start = await talk.take("websocket.http.response.start")
        await talk.take("websocket.http.response.body")
        await talk.end()

    assert start["status"] == 404
    assert b"x-request-id" in dict(start["headers"])


async def test_error_in_an_accepted_websocket(caplog: pytest.LogCaptureFixture) -> None:
    """After it the connection is closed with 1011, and the log says why."""

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        raise LookupError("secret")

    async with Conversation(with_errors(accepting(handler)), websocket_scope("/")) as talk:
        talk.give("websocket.connect")
        await talk.take("websocket.accept")
        assert await talk.take() == {"type": "websocket.close", "code": 1011}
        await talk.end()

    assert caplog.messages == ["failed after the response had started"]


# Origins

ALLOWED = "https://a.example"
FOREIGN = b"https://evil.example"


async def found(request: Request) -> Response:
    if request.params["id"] == "0":
        raise HTTPError(404)
    return Response.text("ok")


async def accept(socket: WebSocket) -> None:
    await socket.accept()


def with_origins(*allowed: str) -> ASGIApp:
    """The order of app.main."""
    router = Router([Route("GET", "/{id}", found), websocket("/ws", accept)], max_body_bytes=1)
    return Exchanges(Origins(Errors(router), frozenset(allowed)), silent)


async def test_no_cors_unless_allowed() -> None:
    """Without an allow-list no answer speaks of origins."""
    answer = await request(with_origins(), "GET", "/1", [(b"origin", FOREIGN)])

    assert answer.status == 200
    assert (answer.header("vary"), answer.header("access-control-allow-origin")) == (None, None)


@pytest.mark.parametrize("path", ["/1", "/0", "/"])
async def test_allowed_origin(path: str) -> None:
    """An allowed origin may read every answer, errors included."""
    answer = await request(with_origins(ALLOWED, "https://b.example"), "GET", path, [(b"origin", ALLOWED.encode())])

    assert answer.header("access-control-allow-origin") == ALLOWED
    assert answer.header("vary") == "origin"


@pytest.mark.parametrize("origin", [FOREIGN, b"null", b"", b"https://a.example.evil.example", b"http://a.example"])
async def test_foreign_origin(origin: bytes) -> None:
    """Any other gets no permission, only the hint for caches."""
    answer = await request(with_origins(ALLOWED), "GET", "/1", [(b"origin", origin)])

    assert answer.status == 200
    assert (answer.header("vary"), answer.header("access-control-allow-origin")) == ("origin", None)


async def test_vary_without_origin() -> None:
    """With an allow-list every answer depends on the origin, or a cache gives the one without to a page that asks."""
    answer = await request(with_origins(ALLOWED), "GET", "/1")

    assert answer.header("vary") == "origin"


async def test_preflight() -> None:
    """A preflight of an allowed origin is answered in place of the app."""
    headers: list[Header] = [(b"origin", ALLOWED.encode()), (b"access-control-request-method", b"DELETE")]
    answer = await request(with_origins(ALLOWED), "OPTIONS", "/0", headers)

    assert (answer.status, answer.body) == (204, b"")
    assert answer.header("access-control-allow-origin") == ALLOWED
    assert answer.header("access-control-allow-methods") == "DELETE, GET, HEAD, OPTIONS, POST"
    assert answer.header("access-control-allow-headers") == "content-type, last-event-id, x-request-id"
    assert answer.header("access-control-max-age") == "600"
    assert answer.header("vary") == "origin"


@pytest.mark.parametrize(
    "headers",
    [
        [(b"origin", ALLOWED.encode())],
        [(b"origin", FOREIGN), (b"access-control-request-method", b"DELETE")],
        [(b"access-control-request-method", b"DELETE")],
    ],
    ids=["no preflight", "foreign", "no origin"],
)
async def test_options_that_is_no_preflight(headers: list[Header]) -> None:
    """Any other OPTIONS is the app's."""
    answer = await request(with_origins(ALLOWED), "OPTIONS", "/1", headers)

    assert answer.header("allow") == "GET, HEAD, OPTIONS"
    assert answer.header("access-control-allow-methods") is None


async def handshake(app: ASGIApp, *headers: Header, denial: bool = True) -> Any:
    async with Conversation(app, websocket_scope("/ws", headers, denial=denial)) as talk:
        talk.give("websocket.connect")
        answer = await talk.take()
        if answer["type"] == "websocket.http.response.start":
            assert b"x-request-id" in dict(answer["headers"])
            await talk.take("websocket.http.response.body")
        await talk.end()
        return answer.get("status", answer["type"])


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"host", b"here:8080")],
        [(b"host", b"here:8080"), (b"origin", b"http://here:8080")],
        [(b"host", b"here"), (b"origin", b"https://here")],
        [(b"host", b"here"), (b"origin", ALLOWED.encode())],
    ],
)
async def test_websocket_is_accepted(headers: list[Header]) -> None:
    """A page of the same host, an allowed one and a client that is no browser may connect."""
    assert await handshake(with_origins(ALLOWED), *headers) == "websocket.accept"


@pytest.mark.parametrize(
    "headers",
    [
        [(b"host", b"here:8080"), (b"origin", b"http://here:8081")],
        [(b"host", b"here"), (b"origin", FOREIGN)],
        [(b"host", b"here"), (b"origin", b"null")],
        [(b"origin", b"null")],
        [(b"origin", b"https://")],
        [(b"host", b"here"), (b"origin", b"here")],
    ],
)
async def test_websocket_of_a_foreign_page(headers: list[Header]) -> None:
    """Any other page is refused before the accept."""
    assert await handshake(with_origins(ALLOWED), *headers) == 403


async def test_websocket_of_a_foreign_page_without_the_denial_extension() -> None:
    """Where the server can't answer the handshake it is closed."""
    assert await handshake(with_origins(), (b"origin", FOREIGN), denial=False) == "websocket.close"


# Limits


class Held:
    """Answers when it is let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.go.wait()
        if scope["type"] == "websocket":
            raise LookupError
        await ok(scope, receive, send)


async def test_limit_of_requests() -> None:
    """What is over the limit is a 503 that may come back in a second; what has ended makes room."""
    held = Held()
    app = with_errors(Limits(held, requests=1, websockets=1))

    async with Conversation(app, http_scope("GET", "/")) as first:
        await first.nothing()
        answer = await request(app, "GET", "/")
        assert (answer.status, answer.header("retry-after")) == (503, "1")
        held.go.set()
        await first.take("http.response.start")
        await first.take("http.response.body")
        await first.end()

    assert (await request(app, "GET", "/")).status == 200


async def test_limit_of_websockets() -> None:
    """Websockets have a limit of their own, and one that fails makes room too."""
    held = Held()
    app = Exchanges(Limits(held, requests=1, websockets=1), silent)
    failing = Exchanges(Errors(app.app), silent)
    failing.open = app.open

    async with (
        Conversation(app, websocket_scope("/")) as first,
        Conversation(app, http_scope("GET", "/")) as second,
    ):
        await first.nothing()
        await second.nothing()
        assert await handshake(failing) == 503
        held.go.set()
        with pytest.raises(LookupError):
            await first.end()
        await second.take("http.response.start")

    assert app.open == {"http": 0, "websocket": 0}


async def test_health_checks_are_exempt() -> None:
    """An exempt path is answered however full the worker is."""
    app = with_errors(Limits(ok, requests=0, websockets=0, exempt=frozenset({"/livez"})))

    assert (await request(app, "GET", "/livez")).status == 200
    assert (await request(app, "GET", "/")).status == 503
