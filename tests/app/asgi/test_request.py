"""What a request's body, query and JSON accept and refuse."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from app.asgi.errors import Disconnected, HTTPError
from app.asgi.request import Request, parse_json, parse_query
from app.asgi.types import Header, Message
from tests.harness.driver import http_scope

JSON = b"application/json"


async def body_of(chunks: Iterable[bytes], headers: Sequence[Header] = (), cap: int = 10) -> bytes:
    pieces = list(chunks)
    messages: list[Message] = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages[-1]["more_body"] = False
    return await request_of(messages, headers, cap).body()


def request_of(messages: list[Message], headers: Sequence[Header] = (), cap: int = 10) -> Request:
    async def receive() -> Message:
        return messages.pop(0)

    return Request(http_scope("POST", "/", headers), receive, {}, cap)


async def test_body_joins_chunks() -> None:
    """A body is its chunks, joined."""
    assert await body_of([b"ab", b"", b"cd"]) == b"abcd"


async def test_body_at_the_cap() -> None:
    """A body of exactly the cap passes."""
    assert await body_of([b"x" * 10], [(b"content-length", b"10")]) == b"x" * 10


async def test_body_declared_too_long() -> None:
    """A declared length above the cap is a 413 before anything is read."""
    request = request_of([], [(b"content-length", b"11")])

    with pytest.raises(HTTPError) as caught:
        await request.body()

    assert caught.value.status == 413
    assert (b"connection", b"close") in caught.value.headers


async def test_body_chunked_too_long() -> None:
    """Without a declared length the body is a 413 as soon as it passes the cap; the rest is not read."""
    rest: list[Message] = [{"type": "http.request", "body": b"never read", "more_body": True}]
    chunks: list[Message] = [{"type": "http.request", "body": b"x" * 6, "more_body": True} for _ in range(2)]
    messages = chunks + rest

    with pytest.raises(HTTPError) as caught:
        await request_of(messages).body()

    assert caught.value.status == 413


async def test_body_cut_off() -> None:
    """A client that leaves in the middle of its body raises Disconnected, so that half a body is never used."""
    messages: list[Message] = [
        {"type": "http.request", "body": b"half", "more_body": True},
        {"type": "http.disconnect"},
    ]

    with pytest.raises(Disconnected):
        await request_of(messages).body()


async def test_body_messages_may_leave_everything_out() -> None:
    """`body` and `more_body` are optional in ASGI."""
    assert await request_of([{"type": "http.request"}]).body() == b""


async def test_json_of_a_request() -> None:
    """The content type's parameters and case do not matter."""
    request = request_of(
        [{"type": "http.request", "body": b'{"a":1}'}], [(b"content-type", b"Application/JSON; charset=utf-8")]
    )

    assert await request.json() == {"a": 1}


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": 1}',
        b"null",
        b"0",
        b'"x"',
        b" [1]\n",
        '"ü"'.encode(),
        b'"\\ud83d\\ude00"',
        b"1e400",
        b"-0.0",
        b"[" * 50 + b"]" * 50,
    ],
    ids=lambda body: body[:12],
)
def test_json_that_is_accepted(body: bytes) -> None:
    """Any JSON text is accepted, whatever its value."""
    assert parse_json(JSON, body) == json.loads(body)


@pytest.mark.parametrize("content_type", [b"application/json", b"application/problem+json", b" application/json ;a=b"])
def test_json_content_types(content_type: bytes) -> None:
    """The content type application/json and those that end in +json are accepted."""
    assert parse_json(content_type, b"1") == 1


@pytest.mark.parametrize(
    "content_type", [None, b"", b"text/plain", b"text/json", b"application/jsonx", b"image/x+json", b"json", b"\xff"]
)
def test_json_of_another_content_type(content_type: bytes | None) -> None:
    """Any other content type is a 415 that names the accepted one."""
    with pytest.raises(HTTPError) as caught:
        parse_json(content_type, b"{}")

    assert caught.value.status == 415
    assert (b"accept", b"application/json") in caught.value.headers


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="unclosed"),
        pytest.param(b"{'a': 1}", id="single quotes"),
        pytest.param(b"1 2", id="two values"),
        pytest.param(b"NaN", id="NaN"),
        pytest.param(b"[Infinity]", id="infinity"),
        pytest.param(b'{"a":-Infinity}', id="minus infinity"),
        pytest.param(b'"\xff"', id="not UTF-8"),
        pytest.param(b'"\xed\xa0\x80"', id="a surrogate as UTF-8"),
        pytest.param('"ü"'.encode("utf-16"), id="UTF-16"),
        pytest.param(b"\xef\xbb\xbf{}", id="byte order mark"),
        pytest.param(b"1" * 5_000, id="huge integer"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, id="deep and closed"),
        pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, id="deep objects"),
        pytest.param(b'"\n"', id="control character"),
        pytest.param(b"\x00", id="NUL"),
    ],
)
def test_json_that_is_refused(body: bytes) -> None:
    """A text that is not JSON by RFC 8259 is a 400 with the reason."""
    with pytest.raises(HTTPError) as caught:
        parse_json(JSON, body)

    assert caught.value.status == 400
    assert "JSON" in caught.value.detail


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        (b"", {}),
        (b"a=1&b=2", {"a": "1", "b": "2"}),
        (b"a=1&a=2", {"a": "2"}),
        (b"a=", {"a": ""}),
        (b"a", {"a": ""}),
        (b"a=x+y%20z", {"a": "x y z"}),
        (b"a=%C3%BC", {"a": "ü"}),
        (b"a=%zz&b=%", {"a": "%zz", "b": "%"}),
        (b"a=1;b=2", {"a": "1;b=2"}),
        (b"&&", {}),
    ],
)
def test_query(query: bytes, fields: dict[str, str]) -> None:
    """A query is read as the fields of a form; the last one of a repeated field counts."""
    assert parse_query(query) == fields


@pytest.mark.parametrize(
    "query", [b"a=%ff", b"\xc3\xbc=1", b"&".join([b"a=1"] * 101)], ids=["UTF-8", "ASCII", "101 fields"]
)
def test_query_that_is_refused(query: bytes) -> None:
    """A query with bytes that are not UTF-8 or not ASCII, or with more than 100 fields, is a 400."""
    with pytest.raises(HTTPError) as caught:
        parse_query(query)

    assert caught.value.status == 400


def test_header_is_the_first_of_its_name() -> None:
    """The first of a repeated header counts; a missing header is None."""
    headers: list[Header] = [(b"x-a", b"1"), (b"x-a", b"2")]
    request = request_of([], headers)

    assert request.header(b"x-a") == b"1"
    assert request.header(b"x-b") is None


def test_state_is_the_lifespans() -> None:
    """A handler sees the state of the lifespan."""
    state: dict[str, Any] = {"services": object()}
    request = request_of([])
    request.scope["state"] = state

    assert request.state is state
