"""Middleware: errors and origins."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.asgi.errors import Disconnected, HTTPError
from app.asgi.middleware import Errors
from app.asgi.origins import Origins
from app.asgi.request import Request
from app.asgi.response import Response
from app.asgi.routing import Route, Router, websocket
from app.asgi.standalone import Standalone
from app.asgi.types import ASGIApp, Header, Receive, Scope, Send
from app.asgi.websocket import WebSocket
from tests.harness.driver import Conversation, http_scope, request, websocket_scope


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
        lambda app: Standalone(app),
        lambda app: Errors(app),
        lambda app: Origins(app, frozenset({"https://a.example"})),
    ],
    ids=["Standalone", "Errors", "Origins"],
)
async def test_foreign_scope_types_go_through(wrap: Callable[[ASGIApp], ASGIApp]) -> None:
    """An unknown scope type is passed to the inner app."""
    async with Conversation(wrap(other), {"type": "lifespan"}) as talk:
        assert await talk.take() == {"type": "other"}
        await talk.end()


# Errors


def with_errors(app: ASGIApp, known: dict[type[Exception], Callable[[Any], HTTPError]] | None = None) -> ASGIApp:
    return Standalone(Errors(app, known))


async def test_http_error_is_a_problem() -> None:
    """An HTTPError keeps its status and detail, and its answer has the request's id."""
    error = HTTPError(405, "No.", headers=[(b"allow", b"GET")])
    answer = await request(with_errors(raising(error)), "POST", "/", [(b"x-request-id", b"id-1")])

    assert (answer.status, answer.header("allow")) == (405, "GET")
    assert answer.header("content-type") == "application/problem+json"
    assert answer.json()["request_id"] == answer.header("x-request-id") == "id-1"


async def test_known_error_is_translated(caplog: pytest.LogCaptureFixture) -> None:
    """A known exception, or a subclass of it, is translated by the table; its cause is logged in one line."""
    error = KeyError("a")
    error.__cause__ = OSError("disk full\nINSERT secret")
    app = with_errors(raising(error), {LookupError: lambda error: HTTPError(503, str(error))})
    answer = await request(app, "GET", "/")

    assert (answer.status, answer.json()["detail"]) == (503, "'a'")
    (record,) = caplog.records
    assert (record.message, record.__dict__["request_id"]) == ("disk full", answer.json()["request_id"])


async def test_unknown_error_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    """Any other error is a 500 without details; the log has all of them under the same id."""
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
    """An error after the start of the response is logged and raised, so that the server cuts the connection."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise LookupError("late")

    async with Conversation(with_errors(app), http_scope("GET", "/")) as talk:
        await talk.take("http.response.start")
        with pytest.raises(LookupError, match="late"):
            await talk.end()

    assert caplog.messages == ["failed after the response had started"]


async def test_disconnected_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """A client that left gets no answer, and nothing is logged."""
    caplog.set_level(logging.DEBUG, "app")
    async with Conversation(with_errors(raising(Disconnected())), http_scope("GET", "/")) as talk:
        await talk.end()

    assert caplog.messages == []


async def test_error_before_a_websocket_is_accepted() -> None:
    """An error before the accept is the answer to the handshake."""
    async with Conversation(with_errors(raising(HTTPError(404, "No."))), websocket_scope("/")) as talk:
        talk.give("websocket.connect")
        start = await talk.take("websocket.http.response.start")
        await talk.take("websocket.http.response.body")
        await talk.end()

    assert start["status"] == 404
    assert b"x-request-id" in dict(start["headers"])


async def test_error_in_an_accepted_websocket(caplog: pytest.LogCaptureFixture) -> None:
    """An error after the accept closes the connection with 1011, and is logged."""

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
    """Wrap the app in the same order as app.main."""
    router = Router([Route("GET", "/{id}", found), websocket("/ws", accept)], max_body_bytes=1)
    return Standalone(Origins(Errors(router), frozenset(allowed)))


async def test_no_cors_unless_allowed() -> None:
    """Without an allow-list no answer has CORS headers."""
    answer = await request(with_origins(), "GET", "/1", [(b"origin", FOREIGN)])

    assert answer.status == 200
    assert (answer.header("vary"), answer.header("access-control-allow-origin")) == (None, None)


@pytest.mark.parametrize("path", ["/1", "/0", "/"])
async def test_allowed_origin(path: str) -> None:
    """A page of an allowed origin may read every answer, errors included."""
    answer = await request(with_origins(ALLOWED, "https://b.example"), "GET", path, [(b"origin", ALLOWED.encode())])

    assert answer.header("access-control-allow-origin") == ALLOWED
    assert answer.header("vary") == "origin"


@pytest.mark.parametrize("origin", [FOREIGN, b"null", b"", b"https://a.example.evil.example", b"http://a.example"])
async def test_foreign_origin(origin: bytes) -> None:
    """A page of any other origin gets no permission, only `Vary: origin` for caches."""
    answer = await request(with_origins(ALLOWED), "GET", "/1", [(b"origin", origin)])

    assert answer.status == 200
    assert (answer.header("vary"), answer.header("access-control-allow-origin")) == ("origin", None)


async def test_vary_without_origin() -> None:
    """With an allow-list every answer has `Vary: origin`, or a cache may give a page an answer without permission."""
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
    """Any other OPTIONS request is passed to the app."""
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
    """A page of the same host, a page of an allowed origin and a client that is no browser may connect."""
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
    """A page of any other origin is refused before the accept."""
    assert await handshake(with_origins(ALLOWED), *headers) == 403


async def test_websocket_of_a_foreign_page_without_the_denial_extension() -> None:
    """Where the server can't answer the handshake with a response, the connection is closed."""
    assert await handshake(with_origins(), (b"origin", FOREIGN), denial=False) == "websocket.close"
