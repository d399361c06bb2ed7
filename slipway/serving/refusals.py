"""The server's own error responses: problem details (RFC 9457) with the request's id."""

import json
import re
from collections.abc import Callable, Coroutine, Iterable, Sequence
from email.utils import formatdate
from http import HTTPStatus
from random import getrandbits
from typing import Any

FAILED = "The server failed; its log has the reason."
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
SHOWN = 200  # characters of a reason, which may quote the client


def request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the request's `x-request-id`, which nginx sets, if it is well-formed, otherwise a new one."""
    for name, value in headers:
        if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
            return value.decode()
    return getrandbits(128).to_bytes(16).hex()


def problem(status: int, detail: str, request_id: str) -> tuple[list[tuple[str, str]], bytes]:
    """Return the headers and the body of a response after which the connection is closed."""
    members = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail[:SHOWN],
        "request_id": request_id,
    }
    body = json.dumps(members, separators=(",", ":")).encode()
    headers = [
        ("content-type", "application/problem+json"),
        ("content-length", str(len(body))),
        ("cache-control", "no-store"),
        ("x-request-id", request_id),
        ("connection", "close"),
    ]
    return headers, body


def response(status: int, detail: str, request_id: str, *, method: str = "") -> bytes:
    """Return the same response as bytes; the response to a HEAD has no body."""
    headers, body = problem(status, detail, request_id)
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"date: {formatdate(usegmt=True)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "\r\n"]).encode() + (b"" if method == "HEAD" else body)


def refusing(status: int, detail: str) -> Callable[[Any, Any, Any], Coroutine[Any, Any, None]]:
    """Return an app that answers every request with this problem."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers, body = problem(status, detail, request_id(scope["headers"]))
        raw: Sequence[tuple[bytes, bytes]] = [(name.encode(), value.encode()) for name, value in headers]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": body})

    return app
