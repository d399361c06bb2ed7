"""A websocket as its handler sees it: the valid order of calls, and every way in which the connection ends."""

from collections.abc import Awaitable, Callable

import pytest

from app.asgi.errors import Disconnected, HTTPError
from app.asgi.response import Response
from app.asgi.types import ASGIApp, Receive, Scope, Send
from app.asgi.websocket import TOO_BIG, WebSocket, refuse
from tests.harness.driver import Conversation, websocket_scope

MOST = 16  # bytes in a message


def app_of(handler: Callable[[WebSocket], Awaitable[None]]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await handler(WebSocket(scope, receive, send, max_message_bytes=MOST))

    return app


async def echo(socket: WebSocket) -> None:
    await socket.accept([(b"x-a", b"1")])
    while True:
        await socket.send(await socket.receive())


async def test_accept() -> None:
    """A connection is accepted once the client has asked, with the handler's headers."""
    async with Conversation(app_of(echo), websocket_scope("/")) as talk:
        await talk.nothing()
        talk.give("websocket.connect")
        assert await talk.take() == {"type": "websocket.accept", "headers": [(b"x-a", b"1")]}


@pytest.mark.parametrize("message", [{"text": "ü"}, {"bytes": b"\xff\x00"}, {"text": ""}, {"bytes": b""}])
async def test_text_and_bytes(message: dict[str, str | bytes]) -> None:
    """Text stays text and bytes stay bytes."""
    async with Conversation(app_of(echo), websocket_scope("/")) as talk:
        talk.give("websocket.connect")
        await talk.take("websocket.accept")
        talk.give("websocket.receive", **message)
        assert await talk.take() == {"type": "websocket.send", **message}


async def test_the_other_kind_may_be_none() -> None:
    """Servers may send both keys, one of them None."""
    async with Conversation(app_of(echo), websocket_scope("/")) as talk:
        talk.give("websocket.connect")
        await talk.take("websocket.accept")
        talk.give("websocket.receive", text=None, bytes=b"x")
        assert (await talk.take("websocket.send"))["bytes"] == b"x"
        talk.give("websocket.receive", text="y", bytes=None)
        assert (await talk.take("websocket.send"))["text"] == "y"


@pytest.mark.parametrize("message", [{"text": "x" * 16}, {"text": "ü" * 8}, {"bytes": b"x" * 16}])
async def test_message_at_the_cap(message: dict[str, str | bytes]) -> None:
    """A message of exactly the cap passes."""
    async with Conversation(app_of(echo), websocket_scope("/")) as talk:
        talk.give("websocket.connect")
        await talk.take("websocket.accept")
        talk.give("websocket.receive", **message)
        assert await talk.take() == {"type": "websocket.send", **message}


@pytest.mark.parametrize("message", [{"text": "x" * 17}, {"text": "ü" * 9}, {"bytes": b"x" * 17}])
async def test_message_over_the_cap(message: dict[str, str | bytes]) -> None:
    """A message over the cap, counted in bytes, closes the connection with 1009."""
    async with Conversation(app_of(echo), websocket_scope("/")) as talk:
        talk.give("websocket.connect")
        await talk.take("websocket.accept")
        talk.give("websocket.receive", **message)
        close = await talk.take("websocket.close")
        assert (close["code"], close["reason"]) == (1009, "at most 16 bytes a message")
        with pytest.raises(Disconnected) as caught:
            await talk.end()

    assert caught.value.code == TOO_BIG


async def test_client_leaves_before_the_answer() -> None:
    """A client that leaves before the accept raises Disconnected, and nothing is sent to it."""
    async with Conversation(app_of(echo), websocket_scope("/")) as talk:
        talk.give("websocket.disconnect", code=1001)
        with pytest.raises(Disconnected) as caught:
            await talk.end()

    assert caught.value.code == 1001


@pytest.mark.parametrize(("given", "seen"), [({"code": 1000}, 1000), ({}, 1005), ({"code": None}, 1005)])
async def test_client_leaves(given: dict[str, int | None], seen: int) -> None:
    """The handler gets the client's close code, 1005 if there is none."""
    async with Conversation(app_of(echo), websocket_scope("/")) as talk:
        talk.give("websocket.connect")
        await talk.take("websocket.accept")
        talk.give("websocket.disconnect", **given)
        with pytest.raises(Disconnected) as caught:
            await talk.end()

    assert caught.value.code == seen


@pytest.mark.parametrize("error", [OSError("gone"), RuntimeError("after close")])
async def test_server_says_that_the_client_is_gone(error: Exception) -> None:
    """An error of the server's `send`, of either kind, becomes Disconnected."""
    async with Conversation(app_of(echo), websocket_scope("/")) as talk:
        talk.give("websocket.connect")
        await talk.take("websocket.accept")
        talk.send_error = error
        talk.give("websocket.receive", text="x")
        with pytest.raises(Disconnected):
            await talk.end()


async def test_close() -> None:
    """Closing sends the code and the reason; closing again sends nothing."""

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close(4000, "enough")
        await socket.close()

    async with Conversation(app_of(handler), websocket_scope("/")) as talk:
        talk.give("websocket.connect")
        await talk.take("websocket.accept")
        assert await talk.take() == {"type": "websocket.close", "code": 4000, "reason": "enough"}
        await talk.end()


async def test_close_of_one_that_is_gone() -> None:
    """A close that can't be sent raises Disconnected."""

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        await socket.receive()
        await socket.close()

    async with Conversation(app_of(handler), websocket_scope("/")) as talk:
        talk.give("websocket.connect")
        await talk.take("websocket.accept")
        talk.send_error = OSError("gone")
        talk.give("websocket.receive", text="x")
        with pytest.raises(Disconnected):
            await talk.end()


async def accept_twice(socket: WebSocket) -> None:
    await socket.accept()
    await socket.accept()


async def receive_first(socket: WebSocket) -> None:
    await socket.receive()


async def send_first(socket: WebSocket) -> None:
    await socket.send("x")


async def close_first(socket: WebSocket) -> None:
    await socket.close()


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        (accept_twice, "is OPEN, not CONNECTING"),
        (receive_first, "is CONNECTING, not OPEN"),
        (send_first, "is CONNECTING, not OPEN"),
        (close_first, "is CONNECTING, not OPEN"),
    ],
)
async def test_wrong_order(handler: Callable[[WebSocket], Awaitable[None]], words: str) -> None:
    """A wrong order of calls raises an error that names the mistake."""
    async with Conversation(app_of(handler), websocket_scope("/")) as talk:
        talk.give("websocket.connect")
        with pytest.raises(RuntimeError, match=words):
            await talk.end()


@pytest.mark.parametrize("then", [WebSocket.receive, WebSocket.accept, lambda socket: socket.send("x")])
async def test_use_after_close(then: Callable[[WebSocket], Awaitable[object]]) -> None:
    """A connection closed by the handler behaves like one that the client has left; nothing more is sent."""

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close()
        with pytest.raises(Disconnected):
            await then(socket)

    async with Conversation(app_of(handler), websocket_scope("/")) as talk:
        talk.give("websocket.connect")
        await talk.take("websocket.accept")
        await talk.take("websocket.close")
        await talk.end()


def refusing(response: Response) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await refuse(scope, receive, send, response)

    return app


async def test_refusal_with_the_denial_extension() -> None:
    """With the denial extension the handshake is answered with the whole response."""
    response = Response.problem(HTTPError(403, "No."), "id-1")

    async with Conversation(refusing(response), websocket_scope("/")) as talk:
        talk.give("websocket.connect")
        start = await talk.take("websocket.http.response.start")
        body = await talk.take("websocket.http.response.body")
        await talk.end()

    assert start["status"] == 403
    assert (b"content-type", b"application/problem+json") in start["headers"]
    lengths = [value for name, value in start["headers"] if name == b"content-length"]
    assert lengths == [b"%d" % len(response.body)]
    assert body["body"] == response.body
    assert not body.get("more_body", False)


@pytest.mark.parametrize("extensions", [{}, None])
async def test_refusal_without_the_extension(extensions: dict[str, object] | None) -> None:
    """Without the extension a close before the accept makes the answer a 403."""
    scope = {**websocket_scope("/"), "extensions": extensions}

    async with Conversation(refusing(Response.text("no", 404)), scope) as talk:
        talk.give("websocket.connect")
        assert await talk.take() == {"type": "websocket.close"}
        await talk.end()


async def test_query_and_state() -> None:
    """A handler finds the query's fields and the lifespan's state."""

    async def handler(socket: WebSocket) -> None:
        assert socket.query == {"after": "7"}
        assert socket.state == {"services": 1}

    async with Conversation(app_of(handler), websocket_scope("/?after=7", state={"services": 1})) as talk:
        await talk.end()


@pytest.mark.parametrize("offered", [True, False], ids=["a server that can", "another server"])
async def test_send_now(offered: bool) -> None:
    """A server that offers to send without waiting is used between accept and close; without it `send_now` declines."""
    taken: list[str] = []
    told: list[bool] = []

    def take(text: str) -> bool:
        taken.append(text)
        return text != "full"

    async def handler(socket: WebSocket) -> None:
        told.append(socket.send_now("early"))
        await socket.accept()
        told.extend(socket.send_now(text) for text in ("one", "full"))
        await socket.close()
        told.append(socket.send_now("late"))

    scope = websocket_scope("/")
    if offered:
        scope["extensions"]["websocket.send_now"] = {"send": take}
    async with Conversation(app_of(handler), scope) as talk:
        talk.give("websocket.connect")
        await talk.take("websocket.accept")
        await talk.take("websocket.close")
        await talk.end()

    assert told == [False, offered, False, False]
    assert taken == (["one", "full"] if offered else [])
