"""The server's own answers, as problem details (RFC 9457)."""

import json
from http import HTTPStatus
from typing import Any

from slipway.middleware.types import Header, Scope, Send

OVERLOADED = "This worker has all that it can serve."
TOO_MANY_FIELDS = "The request has more header fields than allowed."
LATE = "The app did not answer in time."
FAILED = "The server failed; the request id finds the reason in its log."
RETRY_AFTER = b"1"  # second: other workers may have room at once


async def answer(scope: Scope, send: Send, status: int, detail: str, request_id: str) -> None:
    """Answer a request, or a handshake that is not accepted yet.

    A server without the denial extension answers a handshake with 403:
    https://asgi.readthedocs.io/en/latest/extensions.html#websocket-denial-response
    """
    if scope["type"] == "http":
        await respond(send, status, detail, request_id, head=scope.get("method") == "HEAD")
    elif "websocket.http.response" in (scope.get("extensions") or {}):
        await respond(send, status, detail, request_id, prefix="websocket.http")
    else:
        await send({"type": "websocket.close"})


async def respond(
    send: Send, status: int, detail: str, request_id: str, *, head: bool = False, prefix: str = "http"
) -> int:
    """Send a whole response; return its content length in bytes."""
    body = _problem(status, detail, request_id)
    headers: list[Header] = [
        (b"content-type", b"application/problem+json"),
        (b"cache-control", b"no-store"),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", request_id.encode()),
    ]
    if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT):
        headers.append((b"retry-after", RETRY_AFTER))
    await send({"type": f"{prefix}.response.start", "status": status, "headers": headers})
    await send({"type": f"{prefix}.response.body", "body": b"" if head else body})
    return len(body)


def _problem(status: int, detail: str, request_id: str) -> bytes:
    members: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "request_id": request_id,
    }
    return json.dumps(members, separators=(",", ":")).encode()
