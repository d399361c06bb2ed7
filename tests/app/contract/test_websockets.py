"""The websockets: the echo, the chat's single order, the replay, and every refusal."""

import asyncio
import json
import socket
from contextlib import AsyncExitStack
from datetime import datetime
from urllib.parse import urlsplit

import pytest

from app.asgi.types import Header
from tests.app.contract.chatting import clients_of_all_workers, come_in, hear, hear_until, new_text, say
from tests.app.contract.stacks import Closed, Refused, Served, Socket, Stack
from tests.app.contract.test_users import is_problem

pytestmark = pytest.mark.asyncio(loop_scope="session")

MOST = 64 * 1024  # bytes in a message


@pytest.mark.parametrize(
    "data", ["a", "", "ü\U0001f600", "\0", b"", b"\xff\x00", "x" * MOST, b"x" * MOST], ids=lambda data: ascii(data[:9])
)
async def test_echo(stack: Stack, data: str | bytes) -> None:
    """Text comes back as text and bytes as bytes, up to 64 KiB."""
    async with stack.websocket("/ws/echo") as socket:
        await socket.send(data)
        assert await socket.receive() == data


async def test_echo_keeps_the_order(stack: Stack) -> None:
    """Many messages come back in their order."""
    async with stack.websocket("/ws/echo") as socket:
        sent: list[str | bytes] = [str(number) if number % 2 else b"%d" % number for number in range(200)]
        for data in sent:
            await socket.send(data)

        assert [await socket.receive() for _ in sent] == sent


@pytest.mark.parametrize("path", ["/ws/echo", "/ws/chat"])
@pytest.mark.parametrize(
    "data", ["x" * (MOST + 1), b"x" * (MOST + 1), "ü" * (MOST // 2 + 1)], ids=["text", "bytes", "UTF-8"]
)
async def test_message_over_the_limit(stack: Stack, path: str, data: str | bytes) -> None:
    """A message over 64 KiB closes with 1009."""
    async with stack.websocket(path) as socket:
        await socket.send(data)
        assert await socket.code() == 1009


@pytest.mark.parametrize("path", ["/ws/nothing", "/ws", "/ws/", "/ws/echo/", "/", "/api/users", "/%00", "//ws/echo"])
async def test_no_such_websocket(stack: Stack, path: str) -> None:
    """A handshake for an unknown path gets the same error as a request for it."""
    with pytest.raises(Refused) as caught:
        async with stack.websocket(path):
            pass

    if path == "/%00" and stack.name in ("nginx", "gunicorn"):
        is_problem(caught.value.answer, 400)
    else:
        is_problem(caught.value.answer, 404)


@pytest.mark.parametrize("path", ["/ws/echo", "/ws/chat"])
@pytest.mark.parametrize(
    "origin", [b"https://evil.example", b"null", b"http://127.0.0.1:1", b"https://a.example.evil.example"]
)
async def test_foreign_origin(stack: Stack, path: str, origin: bytes) -> None:
    """A page of another origin is refused before the connection is accepted."""
    with pytest.raises(Refused) as caught:
        async with stack.websocket(path, (b"origin", origin)):
            pass

    is_problem(caught.value.answer, 403)


async def test_own_and_allowed_origin(stack: Stack) -> None:
    """A page of this host and one of an allowed origin may connect."""
    own = stack.url.encode() if isinstance(stack, Served) else b"http://127.0.0.1"
    for origin in (own, b"https://a.example"):
        async with stack.websocket("/ws/echo", (b"origin", origin)) as socket:
            await socket.send("x")
            assert await socket.receive() == "x"


async def test_hello(stack: Stack) -> None:
    """The chat begins with the worker that serves it."""
    async with stack.websocket("/ws/chat") as socket:
        hello = await socket.json()

    assert set(hello) == {"type", "slot", "pid"}
    assert hello["type"] == "hello"


async def test_message(stack: Stack) -> None:
    """A message is returned to its sender with an id and the time, and without any other member of the original."""
    text = new_text()
    async with stack.websocket("/ws/chat") as socket:
        await socket.send(json.dumps({"user": "ü", "message": text, "id": "7", "type": "reset", "at": 0}))
        (*_, line) = await hear_until(socket, text)

    assert list(line) == ["id", "user", "message", "at"]
    assert (line["user"], line["message"]) == ("ü", text)
    assert isinstance(line["id"], str) and line["id"] not in ("", "7")
    assert datetime.fromisoformat(line["at"]).tzinfo is not None


async def test_message_as_bytes(stack: Stack) -> None:
    """A binary message is JSON too."""
    text = new_text()
    async with stack.websocket("/ws/chat") as socket:
        await come_in(socket)
        await socket.send(json.dumps({"user": "ann", "message": text}).encode())
        assert (await hear(socket))["message"] == text


async def test_everyone_hears_all_in_one_order(stack: Stack) -> None:
    """Clients of all workers that talk at the same time hear one order, in which each client's messages keep theirs."""
    each = 40
    async with AsyncExitStack() as entered:
        clients = await clients_of_all_workers(stack, entered)
        await come_in(*clients)

        async def talk(number: int) -> None:
            for count in range(each):
                await say(clients[number], f"{number} {count}")

        async with asyncio.TaskGroup() as group:
            for number in range(len(clients)):
                group.create_task(talk(number))
        heard = [[await hear(client) for _ in range(each * len(clients))] for client in clients]

    assert all(lines == heard[0] for lines in heard)
    assert len({line["id"] for line in heard[0]}) == each * len(clients)
    for number in range(len(clients)):
        own = [line["message"] for line in heard[0] if line["message"].startswith(f"{number} ")]
        assert own == [f"{number} {count}" for count in range(each)]


@pytest.mark.parametrize("missed", [0, 1, 29])
async def test_resume(stack: Stack, missed: int) -> None:
    """A client that reconnects with its last id gets each missed message once, then new messages."""
    texts = [new_text() for _ in range(30)]
    news = new_text()
    async with stack.websocket("/ws/chat") as socket:
        for text in texts:
            await say(socket, text)
        last = (await hear_until(socket, texts[-1]))[-1 - missed]["id"]
        async with stack.websocket(f"/ws/chat?after={last}") as back:
            await say(socket, news)
            heard = await hear_until(back, news)

    assert [line["message"] for line in heard] == [*texts[30 - missed :], news]


async def test_resume_while_others_talk(stack: Stack) -> None:
    """Repeated reconnects during a conversation lose no message and repeat none."""
    texts = [f"{new_text()} {number}" for number in range(120)]
    async with AsyncExitStack() as entered:
        speakers = await clients_of_all_workers(stack, entered)
        reader = await entered.enter_async_context(stack.websocket("/ws/chat"))
        await say(reader, "begin")
        last = (await hear_until(reader, "begin"))[-1]["id"]

        async def talk() -> None:
            for number, text in enumerate(texts):
                await say(speakers[number % len(speakers)], text)
                await hear_until(speakers[number % len(speakers)], text)

        talking = asyncio.create_task(talk())
        heard: list[str] = []
        while len(heard) < len(texts):
            async with stack.websocket(f"/ws/chat?after={last}") as back:
                for _ in range(min(7, len(texts) - len(heard))):
                    line = await hear(back)
                    heard.append(line["message"])
                    last = line["id"]
        await talking

    assert heard == texts


async def test_resume_from_the_beginning(stack: Stack) -> None:
    """The id 0 requests every kept message, and causes no reset."""
    text = new_text()
    async with stack.websocket("/ws/chat") as socket:
        await say(socket, text)
        await hear_until(socket, text)
    async with stack.websocket("/ws/chat?after=0") as socket:
        lines = await hear_until(socket, text)

    assert all(line.get("type") is None for line in lines)


async def test_resume_from_a_lost_log(stack: Stack) -> None:
    """An id of a log that no longer exists gets an explicit reset, then new messages."""
    async with stack.websocket("/ws/chat") as socket:
        await say(socket, "x")
        (*_, line) = await hear_until(socket, "x")
    other = line["id"][:-1] + "999999999"
    async with stack.websocket(f"/ws/chat?after={other}") as socket:
        assert await hear(socket) == {"type": "reset"}
        text = new_text()
        await say(socket, text)
        await hear_until(socket, text)


@pytest.mark.parametrize("after", ["x", "-1", "%00", "1.5", "%C3%BC", "9" * 60, "' OR 1=1"], ids=lambda text: text[:9])
async def test_id_that_was_never_one(stack: Stack, after: str) -> None:
    """A text that can't be an id is a 400 before the connection is accepted."""
    with pytest.raises(Refused) as caught:
        async with stack.websocket(f"/ws/chat?after={after.replace(' ', '%20')}"):
            pass

    is_problem(caught.value.answer, 400)


DEEP = "[" * 30_000
WRONG = [
    "",
    "hello",
    "{",
    "NaN",
    '{"user":"a","message":NaN}',
    DEEP,
    DEEP + "]" * 30_000,
    '{"user":' + "[" * 985 + "]" * 985 + ',"message":"x"}',
    b"\xff",
    b"\xef\xbb\xbf{}",
    "1" * 5_000,
    "null",
    "[]",
    "1",
    "{}",
    '{"user":"a"}',
    '{"message":"a"}',
    '{"user":1,"message":"x"}',
    '{"user":"","message":"x"}',
    '{"user":"a","message":""}',
    '{"user":"a","message":"  "}',
    '{"user":"a","message":"\\u0000"}',
    '{"user":"a","message":"\\ud800"}',
    '{"user":"a\\nb","message":"x"}',
    json.dumps({"user": "x" * 41, "message": "x"}),
    json.dumps({"user": "x", "message": "x" * 2_001}),
]


@pytest.mark.parametrize("data", WRONG, ids=lambda data: ascii(data[:20]))
async def test_wrong_message(stack: Stack, data: str | bytes) -> None:
    """An invalid message is answered with an error, to its sender alone, and the connection stays open."""
    text = new_text()
    async with stack.websocket("/ws/chat") as socket, stack.websocket("/ws/chat") as other:
        await come_in(socket, other)
        await socket.send(data)
        error = await hear(socket)
        await say(socket, text)
        line, seen = await hear(socket), await hear(other)

    assert set(error) == {"type", "detail"}
    assert error["type"] == "error"
    assert error["detail"]
    assert line["message"] == seen["message"] == text


async def test_longest_message(stack: Stack) -> None:
    """A user name of 40 characters and a message of 2,000 pass, in any alphabet."""
    user, message = "\U0001f600" * 40, "ü" * 1_968 + new_text()
    async with stack.websocket("/ws/chat") as socket:
        await say(socket, message, user)
        (*_, line) = await hear_until(socket, message)

    assert (line["user"], line["message"]) == (user, message)


async def test_client_that_leaves(stack: Stack) -> None:
    """Clients that come and go disturb no other client."""
    text = new_text()
    async with stack.websocket("/ws/chat") as socket:
        for _ in range(20):
            async with stack.websocket("/ws/chat") as brief:
                await brief.json()
        await come_in(socket)
        await say(socket, text)
        assert (await hear(socket))["message"] == text


def narrow(stack: Served) -> socket.socket:
    """Return a connection with a small receive buffer, so that a client that does not read is noticed soon."""
    url = urlsplit(stack.url)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * 1024)
    connection.connect((url.hostname, url.port))
    return connection


async def test_slow_reader(stack: Stack) -> None:
    """A client that does not read is closed with 1013, and delays no other client."""
    if not isinstance(stack, Served):
        pytest.skip("a queue in this process has no end, so no reader is slow")
    batches, code = 12, 0
    async with stack.websocket("/ws/chat") as quick, asyncio.timeout(50):
        while not (code := await code_of_slow_reader(stack, quick, batches)):
            batches *= 2  # the buffers on the way hold 4 MiB, and more with the proxy of an engine

    assert code == 1013


async def code_of_slow_reader(stack: Served, quick: Socket, batches: int) -> int:
    """Return the close code of a client that reads nothing during the batches; 0 if it can read all messages then.

    The client has 5 s from the overflow of its queue to read, so the batches must not go on for long after that.
    """
    message, last = "\U0001f600" * 2_000, new_text()
    async with stack.websocket("/ws/chat", max_queue=1, sock=narrow(stack)) as slow:
        for _ in range(batches):
            for _ in range(50):
                await say(quick, message)
            for _ in range(50):
                await hear(quick)
        await say(quick, last)
        await hear_until(quick, last)
        try:
            await hear_until(slow, last)
        except Closed as closed:
            return closed.code
    return 0


async def test_handshake_has_an_id(stack: Stack) -> None:
    """A refused handshake names the request's id as any other answer does."""
    header: Header = (b"x-request-id", b"my-id.2")
    with pytest.raises(Refused) as caught:
        async with stack.websocket("/ws/nothing", header):
            pass

    answer = caught.value.answer
    assert answer.json()["request_id"] == answer.header("x-request-id")
    assert (answer.header("x-request-id") == "my-id.2") is stack.takes_request_id
