"""Responses: values that are also ASGI apps; the constructor sets the content type."""

from collections.abc import AsyncIterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from .codec import encode_json
from .errors import HTTPError
from .types import Header, Receive, Scope, Send

JSON = (b"content-type", b"application/json")
PROBLEM = (b"content-type", b"application/problem+json")
TEXT = (b"content-type", b"text/plain; charset=utf-8")
HTML = (b"content-type", b"text/html; charset=utf-8")
NO_LENGTH = (204, 304)  # neither has a body, so no content-length: RFC 9110 section 8.6
NO_STORE = (b"cache-control", b"no-store")


class Response:
    """A status, headers and a whole body."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, body: bytes = b"", status: int = 200, headers: Sequence[Header] = ()) -> None:
        self.body = body
        self.status = status
        self.headers = [*headers] if status in NO_LENGTH else [*headers, (b"content-length", b"%d" % len(body))]

    @classmethod
    def json(cls, data: Any, status: int = 200, headers: Sequence[Header] = ()) -> "Response":
        """Return a response with a value as JSON; raises ValueError for NaN, which JSON lacks (RFC 8259 section 6)."""
        return cls(encode_json(data), status, (JSON, *headers))

    @classmethod
    def text(cls, text: str, status: int = 200, headers: Sequence[Header] = ()) -> "Response":
        return cls(text.encode(), status, (TEXT, *headers))

    @classmethod
    def html(cls, text: str, status: int = 200, headers: Sequence[Header] = ()) -> "Response":
        return cls(text.encode(), status, (HTML, *headers))

    @classmethod
    def problem(cls, error: HTTPError, request_id: str) -> "Response":
        """Return the error as RFC 9457 problem details, with `request_id` as an additional member."""
        body = problem_details(error.status, error.detail, request_id, error.members)
        return cls(encode_json(body), error.status, (PROBLEM, NO_STORE, *error.headers))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        body = b"" if scope["method"] == "HEAD" else self.body
        await send({"type": "http.response.body", "body": body})


class StreamResponse:
    """A status, headers and a body that is sent in chunks as they arrive."""

    def __init__(self, chunks: AsyncIterable[bytes], status: int = 200, headers: Sequence[Header] = ()) -> None:
        self.chunks = chunks
        self.status = status
        self.headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": list(self.headers)})
        if scope["method"] != "HEAD":
            async for chunk in self.chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def problem_details(
    status: int, detail: str, request_id: str, members: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the members of RFC 9457 section 3.1 and `request_id`; `title` is the status's reason phrase."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail or HTTPStatus(status).description,
        "request_id": request_id,
        **(members or {}),
    }
