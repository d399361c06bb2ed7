"""HTTP only, in ten lines; docs/asgi.md explains each."""

from typing import Any


async def simple_app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer every HTTP request with a greeting."""
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"Hello from raw\n"})
