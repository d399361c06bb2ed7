"""Properties that hold for any path, any body, any query and any event."""

import asyncio
import json
from collections.abc import Iterator
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from app.asgi.codec import encode_json
from app.asgi.errors import HTTPError
from app.asgi.request import Request, parse_json, parse_query
from app.asgi.routing import Route, Routes
from app.asgi.sse import Event
from app.asgi.types import Message
from tests.harness.driver import http_scope

ANY_TEXT = st.text(st.characters(codec="utf-8"))
SEGMENTS = st.sampled_from(["", "a", "b", "ab", "{x}", "{y}"])
TEMPLATES = st.lists(SEGMENTS, min_size=1, max_size=4).map(lambda segments: "/" + "/".join(segments))
METHODS = st.sampled_from(["GET", "POST", "DELETE", "(websocket)"])
PATHS = st.one_of(
    st.lists(st.sampled_from(["", "a", "b", "ab", "c", "{x}"]), max_size=5).map(lambda parts: "/" + "/".join(parts)),
    ANY_TEXT,
    ANY_TEXT.map("/".__add__),
)


def handler(request: Request) -> None: ...


def fits(template: str, path: str) -> bool:
    """Return whether a path fits: literal segments are equal, a parameter takes any text that is not empty."""
    asked, written = path.split("/"), template.split("/")
    return len(asked) == len(written) and all(
        part != "" if segment.startswith("{") else part == segment for segment, part in zip(written, asked, strict=True)
    )


def literalness(template: str) -> list[bool]:
    """Return a sort key: of two templates that fit, the one with the earlier literal segment sorts first and wins."""
    return [segment.startswith("{") for segment in template.split("/")]


@example([("GET", "/{x}")], "GET", "*")  # RFC 9112 section 3.2.4: the target of `OPTIONS *` begins with no slash
@given(st.lists(st.tuples(METHODS, TEMPLATES), max_size=8), st.sampled_from(["GET", "HEAD", "POST", "PUT"]), PATHS)
def test_router_finds_what_the_rule_says(table: list[tuple[str, str]], method: str, path: str) -> None:
    """The router finds the same route as a search through all templates, and raises nothing but 404, 405 and 426."""
    try:
        routes = Routes(Route(kind, template, handler) for kind, template in table)
    except ValueError as error:
        assert "already taken" in str(error) or "each name once" in str(error)
        return  # a table that contradicts itself has no answers to check
    fitting = sorted({template for _, template in table if fits(template, path)}, key=literalness)
    methods = {kind for kind, template in table if fitting and template == fitting[0]}

    try:
        route, params = routes.match(method, path)
    except HTTPError as error:
        if error.status == 404:
            assert not fitting
        elif error.status == 426:
            assert method == "GET" and "(websocket)" in methods and "GET" not in methods
        else:
            assert error.status == 405
            assert method not in methods
            allowed = dict(error.headers)[b"allow"].decode().split(", ")
            assert allowed == sorted(allowed)
            assert set(allowed) - {"HEAD", "OPTIONS"} == methods - {"(websocket)"}
            assert ("HEAD" in allowed) == ("GET" in methods)
    else:
        assert route.path == fitting[0]
        assert route.method == method or (method, route.method) == ("HEAD", "GET")
        filled = [params[part[1:-1]] if part.startswith("{") else part for part in route.path.split("/")]
        if len(params) == route.path.count("{"):
            assert "/".join(filled) == path


@given(st.one_of(st.binary(), ANY_TEXT.map(str.encode), st.text('[]{},:"\\u0129eE+-.ntfNaI ').map(str.encode)))
def test_any_bytes_as_json(body: bytes) -> None:
    """Any body is a value that can be written as JSON again, or a 400."""
    try:
        value = parse_json(b"application/json", body)
    except HTTPError as error:
        assert error.status == 400
        encode_json(error.detail)
    else:
        assert json.loads(body) == value


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), ANY_TEXT),
        lambda inner: st.one_of(st.lists(inner), st.dictionaries(ANY_TEXT, inner)),
        max_leaves=20,
    )
)
def test_json_there_and_back(value: object) -> None:
    """A value that we write is read as the same value."""
    assert parse_json(b"application/json", encode_json(value)) == value


@given(st.one_of(st.none(), st.binary()))
def test_any_content_type(content_type: bytes | None) -> None:
    """A content type is accepted or a 415, whatever its bytes."""
    try:
        assert parse_json(content_type, b"1") == 1
    except HTTPError as error:
        assert error.status == 415


@given(st.one_of(st.binary(), st.text("ab=&%+;0fFc3").map(str.encode)))
def test_any_query(query: bytes) -> None:
    """Any query string is a set of fields or a 400."""
    try:
        fields = parse_query(query)
    except HTTPError as error:
        assert error.status == 400
    else:
        assert all(isinstance(text, str) for pair in fields.items() for text in pair)
        encode_json(fields)


@st.composite
def chunked(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    body = draw(st.binary(max_size=40))
    cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=6)))
    edges = [0, *cuts, len(body)]
    return body, [body[start:end] for start, end in pairwise(edges)]


@given(chunked(), st.integers(0, 40))
def test_any_chunking(body_and_chunks: tuple[bytes, list[bytes]], cap: int) -> None:
    """A body cut into any chunks is read as the same body, or refused by the same 413."""
    body, chunks = body_and_chunks
    messages: Iterator[Message] = iter(
        [
            {"type": "http.request", "body": chunk, "more_body": number < len(chunks)}
            for number, chunk in enumerate(chunks, 1)
        ]
    )

    async def receive() -> Message:
        return next(messages)

    request = Request(http_scope("POST", "/"), receive, {}, cap)
    try:
        assert asyncio.run(request.body()) == body
    except HTTPError as error:
        assert error.status == 413
        assert len(body) > cap
    else:
        assert len(body) <= cap


def decoded(stream: bytes) -> list[Event]:
    """Decode a stream by https://html.spec.whatwg.org/multipage/server-sent-events.html section 9.2.6."""
    events: list[Event] = []
    name, identity, data = "", None, ""
    for line in stream.decode().replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        key, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line == "":
            if data:
                events.append(Event(data.removesuffix("\n"), name or None, identity))
            name, identity, data = "", None, ""
        elif key == "event":
            name = value
        elif key == "id" and "\0" not in value:
            identity = value
        elif key == "data":
            data += value + "\n"
    return events


LINES = st.text(st.characters(codec="utf-8", exclude_characters="\r"))
ONE_LINE = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"))


@given(st.lists(st.builds(Event, LINES, st.none() | ONE_LINE.filter(bool), st.none() | ONE_LINE)))
def test_events_there_and_back(events: list[Event]) -> None:
    """A browser reads the events that we wrote, whatever their contents."""
    assert decoded(b"".join(event.encode() for event in events)) == events


@given(ANY_TEXT, st.none() | ANY_TEXT, st.none() | ANY_TEXT)
def test_one_event_stays_one(data: str, name: str | None, identity: str | None) -> None:
    """No data, name or id begins a second event or another field."""
    (event,) = decoded(Event(data, name, identity).encode())

    assert event.data == data.replace("\r\n", "\n").replace("\r", "\n")
