"""The app under a server that gives no request ids."""

from typing import Any

import pytest

from app.asgi.middleware import Errors
from app.asgi.origins import Origins
from app.asgi.response import Response
from app.asgi.standalone import Standalone
from app.asgi.types import Receive, Scope, Send
from tests.harness.circles import outlives_its_request
from tests.harness.driver import Conversation, http_scope, request, websocket_scope


async def ok(scope: Scope, receive: Receive, send: Send) -> None:
    await Response.text("ok")(scope, receive, send)


async def raising(scope: Scope, receive: Receive, send: Send) -> None:
    raise LookupError


@pytest.mark.parametrize("given", [b"a", b"0-9.A_z", b"x" * 64])
async def test_request_id_is_taken(given: bytes) -> None:
    """A valid id of the caller is returned."""
    answer = await request(Standalone(ok), "GET", "/", [(b"x-request-id", given)])

    assert answer.header("x-request-id") == given.decode()


@pytest.mark.parametrize("given", [b"", b"x" * 65, b"a b", b"a\n", b"\xff", b'"', b"a,b"])
async def test_request_id_is_refused(given: bytes) -> None:
    """An invalid id is replaced, since it goes into logs."""
    answer = await request(Standalone(ok), "GET", "/", [(b"x-request-id", given)])
    made = answer.header("x-request-id")

    assert made is not None
    assert len(made) == 32
    assert int(made, 16) >= 0


class Given:
    """The exchange of a server that has its own id for the request."""

    request_id = "of-the-server"
    status = 0


async def test_server_that_does_it_all(caplog: pytest.LogCaptureFixture) -> None:
    """If the server provides an exchange, its id is used, and nothing is added to the answer or counted."""
    app = Standalone(Errors(raising))
    answer = await request(app, "GET", "/", state={"exchange": Given()})

    assert (answer.status, answer.json()["request_id"]) == (500, "of-the-server")
    assert answer.header("x-request-id") is None
    assert (app.total, app.active) == (0, 0)
    assert caplog.records[0].__dict__["request_id"] == "of-the-server"


async def test_counts() -> None:
    """Requests and websockets are counted from their start to their end, failures included."""
    app = Standalone(raising)
    for scope in (http_scope("GET", "/"), websocket_scope("/")):
        async with Conversation(app, scope) as talk:
            with pytest.raises(LookupError):
                await talk.end()

    assert (app.total, app.active) == (2, 0)


async def test_scope_without_a_state() -> None:
    """A server without lifespan gives no state; the app makes one."""
    scope: dict[str, Any] = {**http_scope("GET", "/")}
    del scope["state"]
    async with Conversation(Standalone(ok), scope) as talk:
        start = await talk.take("http.response.start")
        await talk.take("http.response.body")
        await talk.end()

    assert b"x-request-id" in dict(start["headers"])


async def test_message_that_is_sent_again() -> None:
    """A message of the app is not changed, since it may be a constant."""
    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start)
        await send({"type": "http.response.body"})

    ids = {(await request(Standalone(app), "GET", "/")).header("x-request-id") for _ in range(2)}

    assert len(ids) == 2
    assert start["headers"] == [(b"content-length", b"0")]


async def test_nothing_is_left_for_the_garbage_collector() -> None:
    """A request leaves no reference cycle, even if the server's `send` refers to the scope."""
    assert not await outlives_its_request(Standalone(Origins(Errors(ok), frozenset())))


async def test_what_is_sent_too_late_is_an_error() -> None:
    """A message sent after its request has ended raises RuntimeError, and nothing reaches the server."""
    kept: list[Send] = []

    async def keeping(scope: Scope, receive: Receive, send: Send) -> None:
        kept.append(send)
        await ok(scope, receive, send)

    answer = await request(Standalone(keeping), "GET", "/")

    assert answer.status == 200
    with pytest.raises(RuntimeError, match=r"'http\.response\.body' is sent, but the app has returned"):
        await kept[0]({"type": "http.response.body"})
