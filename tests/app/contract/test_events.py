"""The event stream: the chat's log, the workers' beats, and resuming."""

import asyncio
import json

import pytest

from app.asgi.types import Header
from tests.app.contract.chatting import hear_until, new_text, read_until, say
from tests.app.contract.stacks import Event, Stack
from tests.app.contract.test_users import is_problem

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_hello(stack: Stack) -> None:
    """A stream begins with the worker that serves it."""
    async with stack.events("/events") as events:
        hello = await anext(events)

    assert hello.name == "hello"
    assert set(json.loads(hello.data)) == {"slot", "pid"}


async def test_workers(stack: Stack) -> None:
    """Each worker's beat arrives every few seconds."""
    beats: dict[int, Event] = {}
    async with asyncio.timeout(15), stack.events("/events") as events:
        while len(beats) < stack.workers:
            event = await anext(events)
            if event.name == "worker":
                beats[json.loads(event.data)["pid"]] = event

    for event in beats.values():
        beat = json.loads(event.data)
        counts = {"requests", "rate", "connections", "memory", "lag", "p50", "p99", "reloads"}
        assert {"slot", "pid", "since"} | counts <= set(beat)
        assert beat["memory"] > 1_000_000
        assert event.id is None  # or a client that reconnects would resume from it


async def test_message(stack: Stack) -> None:
    """A chat message is an event with the message's id."""
    text = new_text()
    async with stack.events("/events") as events, stack.websocket("/ws/chat") as socket:
        await anext(events)
        await say(socket, text)
        (*_, line) = await hear_until(socket, text)
        (*_, event) = await read_until(events, text)

    assert (event.name, event.id, json.loads(event.data)) == ("message", line["id"], line)


@pytest.mark.parametrize("way", ["last-event-id", "after"])
@pytest.mark.parametrize("missed", [0, 1, 9])
async def test_resume(stack: Stack, way: str, missed: int) -> None:
    """A client that reconnects with its last id gets each missed message once, then new messages."""
    texts = [new_text() for _ in range(10)]
    news = new_text()
    async with stack.websocket("/ws/chat") as socket:
        for text in texts:
            await say(socket, text)
        last = (await hear_until(socket, texts[-1]))[-1 - missed]["id"]
        header: list[Header] = [(b"last-event-id", last.encode())] if way == "last-event-id" else []
        async with stack.events(f"/events?after={last}" if way == "after" else "/events", *header) as events:
            await anext(events)
            await say(socket, news)
            found = await read_until(events, news)

    assert [json.loads(event.data)["message"] for event in found] == [*texts[10 - missed :], news]


async def test_last_event_id_is_the_newer_one(stack: Stack) -> None:
    """The header counts: a browser that reconnects sends it with its first address, whose id is older."""
    texts = [new_text() for _ in range(3)]
    async with stack.websocket("/ws/chat") as socket:
        for text in texts:
            await say(socket, text)
        lines = (await hear_until(socket, texts[-1]))[-3:]
    header: Header = (b"last-event-id", lines[1]["id"].encode())
    async with stack.events(f"/events?after={lines[0]['id']}", header) as events:
        found = await read_until(events, texts[2])

    assert len(found) == 1


async def test_reset(stack: Stack) -> None:
    """An id of a log that no longer exists gets an explicit reset."""
    text = new_text()
    async with stack.websocket("/ws/chat") as socket:
        await say(socket, text)
        (*_, line) = await hear_until(socket, text)
        news = new_text()
        async with stack.events(f"/events?after={line['id'][:-1]}999999999") as events:
            await anext(events)
            await say(socket, news)
            found = await read_until(events, news)

    assert found[0].name == "reset"


@pytest.mark.parametrize("after", ["x", "%00", "-1", "%ff"])
async def test_id_that_was_never_one(stack: Stack, after: str) -> None:
    """A text that can't be an id is a 400."""
    is_problem(await stack.get(f"/events?after={after}"), 400)


@pytest.mark.parametrize("value", [b"x", b"\xff", b"1" * 100])
async def test_header_that_was_never_an_id(stack: Stack, value: bytes) -> None:
    """A `Last-Event-ID` that can't be an id is a 400 too."""
    is_problem(await stack.get("/events", (b"last-event-id", value)), 400)


async def test_streams_that_end(stack: Stack) -> None:
    """Clients that come and go leave no open connection."""
    for _ in range(20):
        async with stack.events("/events") as events:
            await anext(events)
    async with asyncio.timeout(15), stack.events("/events") as events:
        seen: set[int] = set()
        quiet: set[int] = set()
        while len(quiet) < stack.workers:
            event = await anext(events)
            if event.name == "worker":
                beat = json.loads(event.data)
                seen.add(beat["pid"])
                if beat["connections"] <= 2:
                    quiet.add(beat["pid"])
