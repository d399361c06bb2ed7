"""The guard around any app: ids, counts, limits, and the answer when the app gives none."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from slipway.middleware import counts as counting
from slipway.middleware.counts import KINDS, Counts
from slipway.middleware.deadline import Deadline
from slipway.middleware.exchange import Exchange
from slipway.middleware.guard import Guard
from slipway.middleware.types import ASGIApp, Header, Message, Receive, Scope, Send
from tests.harness.circles import outlives_its_request
from tests.harness.driver import Conversation, http_scope, request, websocket_scope

MANY = 1_000
EVENTS = (b"content-type", b"text/event-stream")


def guard(app: ASGIApp, record: Any = None, exempt: frozenset[str] = frozenset(), **limits: int) -> Guard:
    """Return a guard with the test's limits on requests, streams and websockets."""
    names = ["requests", "streams", "websockets"]
    by_kind = {kind: limits.get(name, MANY) for kind, name in zip(KINDS, names, strict=True)}
    return Guard(app, Counts(by_kind), exempt=exempt, record=record)


def start(*headers: Header, status: int = 200) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


async def ok(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    await send({"type": "http.response.body", "body": b"ok"})


def raising(error: BaseException) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    return app


async def silent(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer nothing."""


class Streaming:
    """An app that sends the head and the first part, and the rest once `go` is set."""

    def __init__(self, *headers: Header) -> None:
        self.headers = headers
        self.go = asyncio.Event()
        self.told: list[BaseException] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/":
            return await ok(scope, receive, send)
        try:
            await send(start(*self.headers))
            await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
            await self.go.wait()
            await send({"type": "http.response.body", "body": b""})
        except BaseException as error:
            self.told.append(error)
            raise


class Recorder:
    """A record of status and bytes of each finished request."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def __call__(self, scope: Scope, exchange: Exchange, route: str, seconds: float) -> None:
        self.seen.append((exchange.status, exchange.sent))


# The id


@pytest.mark.parametrize("given", [b"a", b"0-9.A_z", b"x" * 64, b"0" * 32])
async def test_request_id_is_taken(given: bytes) -> None:
    """A valid id of the caller is returned."""
    answer = await request(guard(ok), "GET", "/", [(b"x-request-id", given)])

    assert answer.header("x-request-id") == given.decode()


@pytest.mark.parametrize(
    "given", [b"", b"x" * 65, b"a b", b"a\n", b"\xff", b"\xe9" * 32, b'"', b"a,b", b"a" * 31 + b"\n"]
)
async def test_request_id_is_refused(given: bytes) -> None:
    """An invalid id is replaced, since it goes into logs."""
    made = (await request(guard(ok), "GET", "/", [(b"x-request-id", given)])).header("x-request-id")

    assert made is not None
    assert len(made) == 32
    assert int(made, 16) >= 0


async def test_request_id_is_made() -> None:
    """Without one each request gets its own."""
    app = guard(ok)
    ids = {(await request(app, "GET", "/")).header("x-request-id") for _ in range(100)}

    assert len(ids) == 100


async def test_app_finds_the_id() -> None:
    """The app finds the answer's id in its state, and whether the answer has started."""
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        state = scope["state"]
        seen.extend([state["request_id"], state["exchange"].request_id, state["exchange"].status])
        await ok(scope, receive, send)
        seen.append(state["exchange"].status)

    answer = await request(guard(app), "GET", "/")

    assert seen == [answer.header("x-request-id"), answer.header("x-request-id"), 0, 200]


@pytest.mark.parametrize("name", [b"x-request-id", b"X-Request-ID"])
async def test_app_with_an_id_of_its_own(name: bytes) -> None:
    """An answer has a single id, the one in the record."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start((name, b"own"), (b"content-length", b"0")))
        await send({"type": "http.response.body"})

    answer = await request(guard(app), "GET", "/", [(b"x-request-id", b"id-1")])

    assert answer.headers == [(b"content-length", b"0"), (b"x-request-id", b"id-1")]


async def test_message_that_is_sent_again() -> None:
    """A message of the app is not changed, since it may be a constant."""
    constant = start((b"content-length", b"0"))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(constant)
        await send({"type": "http.response.body"})

    wrapped = guard(app)
    ids = {(await request(wrapped, "GET", "/")).header("x-request-id") for _ in range(2)}

    assert len(ids) == 2
    assert constant == start((b"content-length", b"0"))


@pytest.mark.parametrize(
    "headers", [None, (), iter([(b"a", b"b")]), [[b"a", b"b"]]], ids=["None", "()", "iter", "lists"]
)
async def test_headers_of_any_kind(headers: Any) -> None:
    """Headers may be any iterable of pairs, or be left out."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body"})

    answer = await request(guard(app), "GET", "/")

    assert answer.header("x-request-id")
    assert answer.header("a") == ("b" if headers else None)


# Counts


async def test_counts() -> None:
    """Open and total requests are counted, failures included."""
    go = asyncio.Event()

    async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
        await go.wait()
        await ok(scope, receive, send)
        raise LookupError

    app = guard(waiting)
    async with Conversation(app, http_scope("GET", "/")) as first, Conversation(app, http_scope("GET", "/")) as second:
        await first.nothing()
        assert (app.counts.open, app.counts.total) == ({"http": 2, "stream": 0, "websocket": 0}, 2)
        go.set()
        for talk in (first, second):
            await talk.take("http.response.start")
            await talk.take("http.response.body")
            with pytest.raises(LookupError):
                await talk.end()

    assert (app.counts.active, app.counts.total) == (0, 2)


async def test_lifespan_has_the_counts() -> None:
    """The app finds its worker's counts in the state of its lifespan."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["state"]["counts"] is wrapped.counts
        await send({"type": "lifespan.startup.complete"})

    wrapped = guard(app)
    async with Conversation(wrapped, {"type": "lifespan", "state": {}}) as talk:
        await talk.take("lifespan.startup.complete")
        await talk.end()


async def test_foreign_scope_types_go_through() -> None:
    """An unknown scope type is passed to the app."""

    async def other(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "other"})

    async with Conversation(guard(other), {"type": "other"}) as talk:
        assert await talk.take() == {"type": "other"}
        await talk.end()


async def test_nothing_is_left_for_the_garbage_collector() -> None:
    """A request leaves no reference cycle, even if the server's `send` refers to the scope."""
    assert not await outlives_its_request(guard(ok, Recorder()))


async def test_what_is_sent_too_late_is_an_error() -> None:
    """A message sent after its request has ended raises RuntimeError, and nothing reaches the server."""
    kept: list[Send] = []

    async def keeping(scope: Scope, receive: Receive, send: Send) -> None:
        kept.append(send)
        await ok(scope, receive, send)

    answer = await request(guard(keeping), "GET", "/")

    assert answer.status == 200
    with pytest.raises(RuntimeError, match=r"'http\.response\.body' is sent, but the app has returned"):
        await kept[0]({"type": "http.response.body"})


# Limits of requests and websockets


class Held:
    """An app that answers once `go` is set."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.go.wait()
        if scope["type"] == "websocket":
            raise LookupError
        await ok(scope, receive, send)


async def test_limit_of_requests() -> None:
    """A request over the limit is a 503 with `Retry-After: 1`; an ended request makes room for the next."""
    held, record = Held(), Recorder()
    app = guard(held, record, requests=1)

    async with Conversation(app, http_scope("GET", "/")) as first:
        await first.nothing()
        answer = await request(app, "GET", "/", [(b"x-request-id", b"id-1")])
        assert (answer.status, answer.header("retry-after")) == (503, "1")
        assert answer.header("content-type") == "application/problem+json"
        assert answer.json()["request_id"] == answer.header("x-request-id") == "id-1"
        held.go.set()
        await first.take("http.response.start")
        await first.take("http.response.body")
        await first.end()

    assert (await request(app, "GET", "/")).status == 200
    assert record.seen == [(503, len(answer.body)), (200, 2), (200, 2)]


async def test_refusal_of_head_has_no_body() -> None:
    """HEAD is refused without a body."""
    answer = await request(guard(ok, requests=0), "HEAD", "/")

    assert (answer.status, answer.body) == (503, b"")


@pytest.mark.parametrize("denial", [True, False])
async def test_limit_of_websockets(denial: bool) -> None:
    """Websockets have a limit of their own, and a failed websocket makes room too."""
    held, record = Held(), Recorder()
    app = guard(held, record, websockets=1)

    async with Conversation(app, websocket_scope("/")) as first, Conversation(app, http_scope("GET", "/")) as second:
        await first.nothing()
        await second.nothing()
        async with Conversation(app, websocket_scope("/", denial=denial)) as refused:
            refused.give("websocket.connect")
            answer = await refused.take()
            if denial:
                await refused.take("websocket.http.response.body")
            await refused.end()
        held.go.set()
        await first.take("websocket.http.response.start")

    assert answer.get("status", answer["type"]) == (503 if denial else "websocket.close")
    assert record.seen[0][0] == (503 if denial else 403)
    assert app.counts.active == 0


async def test_health_checks_are_exempt() -> None:
    """An exempt path is answered even if the worker is full."""
    app = guard(ok, exempt=frozenset({"/livez"}), requests=0)

    assert (await request(app, "GET", "/livez")).status == 200
    assert (await request(app, "GET", "/")).status == 503


# Streams


@pytest.mark.parametrize(
    "content_type",
    [b"text/event-stream", b"text/event-stream; charset=utf-8", b"Text/Event-Stream", b" text/event-stream;x"],
)
@pytest.mark.parametrize("name", [b"content-type", b"Content-Type"])
async def test_event_stream_is_no_request(name: bytes, content_type: bytes) -> None:
    """An answer with the type of an event stream counts as a stream until it ends."""
    app = guard(streaming := Streaming((name, content_type)), requests=1)
    async with Conversation(app, http_scope("GET", "/events")) as talk:
        await talk.take("http.response.start")
        await talk.take("http.response.body")
        assert app.counts.open == {"http": 0, "stream": 1, "websocket": 0}
        assert (await request(app, "GET", "/")).status == 200
        streaming.go.set()
        await talk.take("http.response.body")
        await talk.end()

    assert app.counts.active == 0


@pytest.mark.parametrize("content_type", [b"text/plain", b"text/event-strea", b"", b"text/html; charset=utf-8"])
async def test_other_answers_are_requests(content_type: bytes) -> None:
    """Any other answer counts as a request at first."""
    app = guard(Streaming((b"content-type", content_type)))
    async with Conversation(app, http_scope("GET", "/x")) as talk:
        await talk.take("http.response.start")

        assert app.counts.open == {"http": 1, "stream": 0, "websocket": 0}


@pytest.mark.parametrize("content_type", [b"application/x-ndjson", b"multipart/x-mixed-replace", b"application/json"])
async def test_what_lasts_is_a_stream(content_type: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer of any type that is still being sent after STREAM_SECONDS counts as a stream until it ends."""
    app = guard(streaming := Streaming((b"content-type", content_type)))
    async with Conversation(app, http_scope("GET", "/x")) as talk:
        await talk.take("http.response.start")
        await talk.take("http.response.body")
        app.counts.find_streams()
        assert app.counts.open == {"http": 1, "stream": 0, "websocket": 0}
        monkeypatch.setattr(counting, "STREAM_SECONDS", -1.0)
        app.counts.find_streams()
        app.counts.find_streams()
        assert app.counts.open == {"http": 0, "stream": 1, "websocket": 0}
        streaming.go.set()
        await talk.take("http.response.body")
        await talk.end()

    assert app.counts.active == 0
    assert not app.counts.sending


async def test_no_room_for_what_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the limit of streams is reached, a lasting answer stays a request, so that both limits hold."""
    monkeypatch.setattr(counting, "STREAM_SECONDS", -1.0)
    app = guard(Streaming(), streams=0)
    async with Conversation(app, http_scope("GET", "/x")) as talk:
        await talk.take("http.response.start")
        await talk.take("http.response.body")
        app.counts.find_streams()

        assert app.counts.open == {"http": 1, "stream": 0, "websocket": 0}

    assert not app.counts.sending


async def test_stream_too_many() -> None:
    """A stream over the limit is a 503 before any of it is sent, its app gets an OSError, and requests are served."""
    record = Recorder()
    app = guard(streaming := Streaming(EVENTS), record, streams=1)
    async with Conversation(app, http_scope("GET", "/events")) as first:
        await first.take("http.response.start")
        await first.take("http.response.body")
        refused = await request(app, "GET", "/events", [(b"x-request-id", b"id-2")])
        served = await request(app, "GET", "/")
        streaming.go.set()
        await first.take("http.response.body")
        await first.end()

    assert (refused.status, refused.header("retry-after")) == (503, "1")
    assert refused.json()["request_id"] == refused.header("x-request-id") == "id-2"
    assert served.status == 200
    assert [isinstance(error, OSError) for error in streaming.told] == [True]
    assert record.seen[0] == (503, len(refused.body))
    assert (app.counts.active, app.counts.total) == (0, 3)


async def test_app_that_does_not_give_up() -> None:
    """An app that answers the refusal of its stream with an error page sends nothing more."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in (start(EVENTS), start(status=500), {"type": "http.response.body"}):
            try:
                await send(message)
            except Exception:
                continue

    answer = await request(guard(app, streams=0), "GET", "/events")

    assert answer.status == 503


# Apps that do not answer


async def answered(
    app: ASGIApp, scope: Scope, *given: Mapping[str, Any]
) -> tuple[list[Message], list[tuple[int, int]]]:
    """Return the messages that reach the server, and the recorded statuses."""
    record = Recorder()
    messages: list[Message] = []
    async with Conversation(guard(app, record), scope) as talk:
        for message in given:
            talk.give(message["type"], **{key: value for key, value in message.items() if key != "type"})
        while not talk.task.done() or not talk._from_app.empty():
            try:
                messages.append(await talk.take())
            except AssertionError:
                break
    return messages, record.seen


BODY = {"type": "http.request", "body": b"", "more_body": False}


@pytest.mark.parametrize("app", [silent, raising(LookupError("secret"))], ids=["returns", "raises"])
@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_app_without_an_answer(app: ASGIApp, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """An app that returns or raises before its answer gives a 500 with the id under which the log has the reason."""
    scope = http_scope("GET", "/") if kind == "http" else websocket_scope("/")
    messages, recorded = await answered(app, scope, BODY if kind == "http" else {"type": "websocket.connect"})
    head, body = messages

    assert head["status"] == recorded[0][0] == 500
    assert b"secret" not in body["body"]
    assert dict(head["headers"])[b"x-request-id"].decode() == caplog.records[0].__dict__["request_id"]


@pytest.mark.parametrize("given", [[{"type": "http.disconnect"}], [BODY, {"type": "http.disconnect"}]])
async def test_client_that_left(given: list[Message], caplog: pytest.LogCaptureFixture) -> None:
    """A client that left before the answer is sent none, and an app that does not answer it is no error."""
    messages, recorded = await answered(silent, http_scope("GET", "/"), *given)

    assert (messages, recorded) == ([], [(0, 0)])
    assert caplog.records == []


async def test_websocket_whose_client_left(caplog: pytest.LogCaptureFixture) -> None:
    """A websocket whose client left gets no answer either, and is no error; here the server's `send` raises."""
    record = Recorder()
    async with Conversation(guard(silent, record), websocket_scope("/")) as talk:
        talk.send_error = OSError("gone")
        await talk.end()

    assert record.seen == [(0, 0)]
    assert caplog.records == []


async def test_error_after_the_start() -> None:
    """An error after the start of the response is raised to the server, which cuts the connection."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        raise LookupError("late")

    record = Recorder()
    async with Conversation(guard(app, record), http_scope("GET", "/")) as talk:
        await talk.take("http.response.start")
        with pytest.raises(LookupError, match="late"):
            await talk.end()

    assert record.seen == [(200, 0)]


async def test_second_start() -> None:
    """A second start is passed on for the server to refuse; the record has the first, and the counts are right."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(EVENTS))
        await send(start(EVENTS, status=404))

    wrapped = guard(app, record := Recorder())
    async with Conversation(wrapped, http_scope("GET", "/")) as talk:
        await talk.take("http.response.start")
        await talk.take("http.response.start")
        await talk.end()

    assert record.seen == [(200, 0)]
    assert wrapped.counts.open == dict.fromkeys(KINDS, 0)


async def test_cancelled() -> None:
    """A cancelled request is recorded as the 500 that the server answers, and the cancellation is raised."""
    record = Recorder()
    async with Conversation(guard(Held(), record), http_scope("GET", "/")) as talk:
        await talk.nothing()
        talk.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await talk.end()

    assert record.seen == [(500, 0)]


# Websockets


@pytest.mark.parametrize(
    ("messages", "status"),
    [
        ([{"type": "websocket.accept"}, {"type": "websocket.close"}], 101),
        ([{"type": "websocket.close"}], 403),
        ([{"type": "websocket.http.response.start", "status": 404, "headers": []}], 404),
    ],
    ids=["accepted", "closed", "denied"],
)
async def test_record_of_a_websocket(messages: list[Message], status: int) -> None:
    """A websocket is recorded as accepted (101), or with the answer to its handshake."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    sent, recorded = await answered(app, websocket_scope("/"), {"type": "websocket.connect"})

    assert [status for status, _ in recorded] == [status]
    assert ("headers" in sent[0]) is (status != 403)
    if status != 403:
        assert b"x-request-id" in dict(sent[0]["headers"])


async def test_scope_without_a_state() -> None:
    """If the scope has no state, as under a server without lifespan, the guard adds one."""
    scope = http_scope("GET", "/")
    del scope["state"]
    messages, _ = await answered(ok, scope)

    assert b"x-request-id" in dict(messages[0]["headers"])


# Deadline and number of fields


@pytest.fixture
def hurried() -> Any:
    """Return a function that makes guards with a deadline of 0 s, which the test enforces itself."""

    def make(app: ASGIApp) -> Guard:
        return Guard(app, Counts(dict.fromkeys(KINDS, MANY)), deadline=Deadline(0.0))

    return make


async def test_late_request_is_cancelled_and_answered(hurried: Any) -> None:
    """The handler of a late request is cancelled, the client gets a 504 problem, and no entry of it is left."""
    ended = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    around = hurried(app)
    async with Conversation(around, http_scope("GET", "/")) as talk:
        await talk.nothing()
        around.deadline.cancel_late()
        begin = await talk.take("http.response.start")
        body = await talk.take("http.response.body")
        await talk.end()

    assert begin["status"] == 504
    assert json.loads(body["body"])["status"] == 504
    assert (b"retry-after", b"1") in begin["headers"]
    assert ended.is_set()
    assert not around.deadline.running
    assert not around.deadline.late
    assert around.counts.active == 0


async def test_handler_that_turns_the_cancellation_into_an_error(hurried: Any) -> None:
    """A handler that turns the cancellation into another error is answered with 504, too."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise RuntimeError("on purpose") from None

    around = hurried(app)
    async with Conversation(around, http_scope("GET", "/")) as talk:
        await talk.nothing()
        around.deadline.cancel_late()

        assert (await talk.take("http.response.start"))["status"] == 504


async def test_handler_is_cancelled_once(hurried: Any) -> None:
    """A late handler is cancelled only once, so that it can clean up, and its own answer is sent."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.1)
            await ok(scope, receive, send)

    around = hurried(app)
    async with Conversation(around, http_scope("GET", "/")) as talk:
        await talk.nothing()
        for _ in range(3):
            around.deadline.cancel_late()
            await asyncio.sleep(0.01)

        assert (await talk.take("http.response.start"))["status"] == 200


async def test_streams_and_websockets_have_no_deadline(hurried: Any) -> None:
    """An event stream and a websocket stay open after the deadline."""
    around = hurried(Streaming(EVENTS))
    async with Conversation(around, http_scope("GET", "/stream")) as stream:
        await stream.take("http.response.start")
        around.deadline.cancel_late()
        await stream.take("http.response.body")
        await stream.nothing()
    around = hurried(silent_socket)
    async with Conversation(around, websocket_scope("/")) as socket:
        await socket.nothing()
        around.deadline.cancel_late()
        await socket.nothing()


async def silent_socket(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.Event().wait()


async def test_a_request_in_time_is_left_alone() -> None:
    """A request within its deadline is served, and leaves no entry."""
    go = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await go.wait()
        await ok(scope, receive, send)

    around = Guard(app, Counts(dict.fromkeys(KINDS, MANY)), deadline=Deadline(60.0))
    async with Conversation(around, http_scope("GET", "/")) as talk:
        await talk.nothing()
        around.deadline.cancel_late()
        go.set()

        assert (await talk.take("http.response.start"))["status"] == 200
    assert not around.deadline.running


@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_too_many_fields(kind: str) -> None:
    """A request with more header fields than allowed is a 431 problem, and does not reach the app."""
    around = Guard(raising(AssertionError()), Counts(dict.fromkeys(KINDS, MANY)), max_headers=3)
    fields = [(b"x-%d" % number, b"") for number in range(4)]
    scope = http_scope("GET", "/", fields) if kind == "http" else websocket_scope("/", fields)
    async with Conversation(around, scope) as talk:
        if kind == "websocket":
            talk.give("websocket.connect")
        begin = await talk.take()

    assert (begin["status"], dict(begin["headers"])[b"content-type"]) == (431, b"application/problem+json")
