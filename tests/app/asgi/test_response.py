"""The messages that each kind of response sends."""

from collections.abc import AsyncIterator

import pytest

from app.asgi.errors import HTTPError
from app.asgi.response import Response, StreamResponse, problem_details
from tests.harness.driver import Conversation, http_scope, request


async def test_json() -> None:
    """JSON is compact UTF-8."""
    answer = await request(Response.json({"a": ["ü", None, 1.5]}), "GET", "/")

    assert answer.status == 200
    assert answer.header("content-type") == "application/json"
    assert answer.body == '{"a":["ü",null,1.5]}'.encode()
    assert answer.header("content-length") == str(len(answer.body))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_json_has_no_nan(number: float) -> None:
    """NaN, which JSON lacks, raises ValueError instead of being sent."""
    with pytest.raises(ValueError, match="JSON compliant"):
        Response.json([number])


async def test_text() -> None:
    """Text declares its encoding."""
    answer = await request(Response.text("ü", 201, [(b"x-a", b"1")]), "GET", "/")

    assert (answer.status, answer.body, answer.header("x-a")) == (201, "ü".encode(), "1")
    assert answer.header("content-type") == "text/plain; charset=utf-8"


async def test_html() -> None:
    """HTML declares its encoding."""
    answer = await request(Response.html("<p>ü"), "GET", "/")

    assert answer.header("content-type") == "text/html; charset=utf-8"
    assert answer.body == "<p>ü".encode()


async def test_head_has_the_length_and_no_body() -> None:
    """HEAD has the headers of GET and nothing else."""
    answer = await request(Response.text("four"), "HEAD", "/")

    assert answer.header("content-length") == "4"
    assert answer.body == b""


@pytest.mark.parametrize("status", [204, 304])
async def test_no_length_of_no_body(status: int) -> None:
    """A status without a body has no content-length."""
    answer = await request(Response(status=status, headers=[(b"etag", b'"1"')]), "GET", "/")

    assert answer.headers == [(b"etag", b'"1"')]
    assert answer.body == b""


async def test_response_is_sent_twice_alike() -> None:
    """A response is a value: sending it changes nothing in it."""
    response = Response.text("again")

    assert await request(response, "GET", "/") == await request(response, "GET", "/")


async def test_stream_sends_each_chunk_as_it_comes() -> None:
    """A chunk is sent before the next one is made."""
    made: list[bytes] = []

    async def chunks() -> AsyncIterator[bytes]:
        for chunk in (b"one", b"two"):
            made.append(chunk)
            yield chunk

    async with Conversation(StreamResponse(chunks(), headers=[(b"x-a", b"1")]), http_scope("GET", "/")) as talk:
        assert (await talk.take("http.response.start"))["headers"] == [(b"x-a", b"1")]
        assert await talk.take() == {"type": "http.response.body", "body": b"one", "more_body": True}
        assert await talk.take() == {"type": "http.response.body", "body": b"two", "more_body": True}
        assert not (await talk.take("http.response.body")).get("more_body", False)
        await talk.end()
    assert made == [b"one", b"two"]


async def test_stream_of_head_is_not_begun() -> None:
    """HEAD does not begin the source of a stream."""
    begun: list[int] = []

    async def chunks() -> AsyncIterator[bytes]:
        begun.append(1)
        yield b"x"

    answer = await request(StreamResponse(chunks(), 202), "HEAD", "/")

    assert (answer.status, answer.body, begun) == (202, b"", [])


async def test_problem() -> None:
    """An error is RFC 9457 problem details, never cached, with the request id and members of its own."""
    error = HTTPError(409, "Taken.", headers=[(b"retry-after", b"1")], members={"errors": []})
    answer = await request(Response.problem(error, "id-1"), "GET", "/")

    assert answer.status == 409
    assert answer.header("content-type") == "application/problem+json"
    assert answer.header("cache-control") == "no-store"
    assert answer.header("retry-after") == "1"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "Taken.",
        "request_id": "id-1",
        "errors": [],
    }


def test_problem_without_detail() -> None:
    """The status's own description takes the place of a detail."""
    assert problem_details(404, "", "x")["detail"] == "Nothing matches the given URI"
