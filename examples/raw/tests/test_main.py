"""The app, called as a server calls it."""

import asyncio
from typing import Any

from app.main import simple_app


def test_greeting() -> None:
    """The answer consists of two messages, with status 200 and the greeting."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(simple_app({"type": "http"}, None, send))

    assert [sent[0]["status"], sent[1]["body"]] == [200, b"Hello from raw\n"]
