"""The app, called as a server does."""

import asyncio
from typing import Any

from app.main import simple_app


def test_greeting() -> None:
    """Two messages make an answer."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(simple_app({"type": "http"}, None, send))

    assert [sent[0]["status"], sent[1]["body"]] == [200, b"Hello from raw\n"]
