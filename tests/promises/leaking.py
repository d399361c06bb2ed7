"""The shipped app with a leak: each request leaves 128 KiB behind in its worker."""

from app.asgi.types import Receive, Scope, Send
from app.main import application as shipped

LEAK_BYTES = 128 * 1024
_kept: list[bytes] = []


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        _kept.append(b"x" * LEAK_BYTES)
    await shipped(scope, receive, send)
