"""Server-sent events: how an event is encoded, and how a stream begins, sends heartbeats and ends."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from app.asgi import sse
from app.asgi.errors import Disconnected
from app.asgi.sse import Event, EventStream
from app.asgi.types import Message
from tests.harness.driver import SECONDS, Conversation, http_scope


class Source:
    """Events that a test hands out one by one; None ends them."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self.closed = asyncio.Event()

    async def events(self) -> AsyncGenerator[Event, None]:
        try:
            while (event := await self.queue.get()) is not None:
                yield event
        finally:
            self.closed.set()


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (Event("x"), "data: x\n\n"),
        (Event(""), "data: \n\n"),
        (Event("ü", name="worker", id="7"), "event: worker\nid: 7\ndata: ü\n\n"),
        (Event("x", id=""), "id: \ndata: x\n\n"),
        (Event("a\nb"), "data: a\ndata: b\n\n"),
        (Event("a\r\nb\rc\n"), "data: a\ndata: b\ndata: c\ndata: \n\n"),
        (Event(": x"), "data: : x\n\n"),
    ],
)
def test_encode(event: Event, text: str) -> None:
    """Each line of the data is a field of its own."""
    assert event.encode() == text.encode()


@pytest.mark.parametrize("evil", ["a\ndata: b", "a\r\ndata: b", "a\rdata: b", "a\0data: b"])
def test_no_field_is_smuggled_in(evil: str) -> None:
    """A line break in a name or an id does not begin a field."""
    assert Event("x", name=evil, id=evil).encode() == b"event: adata: b\nid: adata: b\ndata: x\n\n"


async def test_each_event_goes_out_at_once() -> None:
    """The headers are sent before the first event, and each event as it happens."""
    source = Source()
    stream = EventStream(source.events(), asyncio.Event())

    async with Conversation(stream, http_scope("GET", "/")) as talk:
        start = await talk.take("http.response.start")
        assert start["status"] == 200
        assert dict(start["headers"]) == {
            b"content-type": b"text/event-stream; charset=utf-8",
            b"cache-control": b"no-store",
            b"x-accel-buffering": b"no",
        }
        await talk.nothing()
        for text in ("one", "two"):
            source.queue.put_nowait(Event(text))
            assert await talk.take() == {
                "type": "http.response.body",
                "body": b"data: %s\n\n" % text.encode(),
                "more_body": True,
            }
        await talk.nothing()


async def ended(talk: Conversation) -> None:
    assert (await talk.take("http.response.body"))["body"] == b"retry: 1000\n\n"
    assert await talk.take("http.response.body") == {"type": "http.response.body", "body": b""}
    await talk.end()


async def test_source_ends() -> None:
    """The stream ends with its source, after the `retry` hint."""
    source = Source()
    source.queue.put_nowait(None)

    async with Conversation(EventStream(source.events(), asyncio.Event()), http_scope("GET", "/")) as talk:
        await talk.take("http.response.start")
        await ended(talk)


async def test_drain() -> None:
    """A draining worker ends its streams, each after the `retry` hint, and the source is closed."""
    source, draining = Source(), asyncio.Event()

    async with Conversation(EventStream(source.events(), draining), http_scope("GET", "/")) as talk:
        await talk.take("http.response.start")
        await talk.nothing()
        draining.set()
        await ended(talk)

    assert source.closed.is_set()


async def test_drain_before_the_first_event() -> None:
    """A stream that begins while the worker drains ends at once."""
    draining = asyncio.Event()
    draining.set()

    async with Conversation(EventStream(Source().events(), draining), http_scope("GET", "/")) as talk:
        await talk.take("http.response.start")
        await ended(talk)


async def test_client_leaves() -> None:
    """The source is closed when the client has left, even if nothing is sent meanwhile."""
    source = Source()

    async with Conversation(EventStream(source.events(), asyncio.Event()), http_scope("GET", "/")) as talk:
        talk.give("http.request", body=b"", more_body=False)
        await talk.take("http.response.start")
        source.queue.put_nowait(Event("x"))
        await talk.take("http.response.body")
        await talk.nothing()
        talk.give("http.disconnect")
        async with asyncio.timeout(SECONDS):
            await source.closed.wait()


async def test_heartbeat() -> None:
    """A silent stream carries a comment now and then, so that no proxy takes it for dead."""
    source = Source()
    stream = EventStream(source.events(), asyncio.Event(), heartbeat=0.01)

    async with Conversation(stream, http_scope("GET", "/")) as talk:
        await talk.take("http.response.start")
        for _ in range(3):
            assert (await talk.take("http.response.body"))["body"] == b": heartbeat\n\n"


async def test_heartbeat_of_a_busy_stream() -> None:
    """A steady flow of events does not delay the heartbeat."""

    async def events() -> AsyncGenerator[Event, None]:
        while True:
            await asyncio.sleep(0)
            yield Event("x")

    stream = EventStream(events(), asyncio.Event(), heartbeat=0.01)

    async with Conversation(stream, http_scope("GET", "/")) as talk:
        await talk.take("http.response.start")
        while (await talk.take("http.response.body"))["body"] != b": heartbeat\n\n":
            pass


async def test_source_that_never_waits() -> None:
    """A source that never waits blocks nothing: other tasks run, and a drain ends the stream."""
    draining = asyncio.Event()

    async def events() -> AsyncGenerator[Event, None]:
        while True:
            yield Event("x")

    async with Conversation(EventStream(events(), draining), http_scope("GET", "/")) as talk:
        await talk.take("http.response.start")
        draining.set()
        while (await talk.take("http.response.body"))["body"] != b"retry: 1000\n\n":
            pass


async def test_one_event_is_encoded_once() -> None:
    """An event is encoded once for any number of streams, so that each of them pays only for sending it."""
    event = Event("x", name="y", id="7")

    assert event.encode() is Event("x", name="y", id="7").encode()


async def test_client_that_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that takes nothing is cut off, also in a drain: the `retry` hint has the same time limit as an event."""
    monkeypatch.setattr(sse, "SEND_SECONDS", 0.01)
    draining = asyncio.Event()
    draining.set()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(Disconnected):
        async with asyncio.timeout(SECONDS):
            await EventStream(Source().events(), draining)(http_scope("GET", "/"), receive, send)


async def test_source_fails() -> None:
    """An error of the source is raised by the stream, and no task is left running."""

    async def events() -> AsyncGenerator[Event, None]:
        yield Event("x")
        raise LookupError("lost")

    before = asyncio.all_tasks()
    async with Conversation(EventStream(events(), asyncio.Event()), http_scope("GET", "/")) as talk:
        await talk.take("http.response.start")
        await talk.take("http.response.body")
        with pytest.raises(LookupError, match="lost"):
            await talk.end()

    assert asyncio.all_tasks() == before


async def test_sending_fails() -> None:
    """The source is also closed when a failing `send` tells that the client has left."""
    source = Source()

    async with Conversation(EventStream(source.events(), asyncio.Event()), http_scope("GET", "/")) as talk:
        await talk.take("http.response.start")
        talk.send_error = OSError("gone")
        source.queue.put_nowait(Event("x"))
        with pytest.raises(OSError, match="gone"):
            await talk.end()

    assert source.closed.is_set()


async def test_cancelled() -> None:
    """A cancelled stream closes its source and leaves no task running."""
    source = Source()
    before = asyncio.all_tasks()

    async with Conversation(EventStream(source.events(), asyncio.Event()), http_scope("GET", "/")) as talk:
        await talk.take("http.response.start")
        await talk.nothing()

    assert source.closed.is_set()
    assert asyncio.all_tasks() == before


async def test_head() -> None:
    """HEAD has the headers of GET and takes nothing from the source."""
    source = Source()
    source.queue.put_nowait(Event("x"))

    async with Conversation(EventStream(source.events(), asyncio.Event()), http_scope("HEAD", "/")) as talk:
        await talk.take("http.response.start")
        assert await talk.take() == {"type": "http.response.body", "body": b""}
        await talk.end()

    assert source.queue.qsize() == 1
