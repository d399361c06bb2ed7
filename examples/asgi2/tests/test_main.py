"""The app, called as an ASGI 2 server calls it."""

import asyncio
import json
from typing import Any

from app.main import App


async def call(method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """Return the status and the body of an answer."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "scheme": "http", "headers": [(b"host", b"here")]}
    await App(scope)(receive, send)
    return sent[0]["status"], sent[1]["body"]


def test_item_is_made() -> None:
    """A new item is answered with 201 and its name."""
    status, body = asyncio.run(call("POST", "/items", b'{"name": "boat"}'))

    assert (status, json.loads(body)["name"]) == (201, "boat")


def test_unknown_path() -> None:
    """An unknown path is answered with 404."""
    assert asyncio.run(call("GET", "/nowhere"))[0] == 404
