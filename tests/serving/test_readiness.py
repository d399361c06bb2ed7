"""The worker's question to its own app whether it is ready."""

import asyncio
from typing import Any

import pytest

from slipway.serving import readiness
from slipway.serving.takeover import NO_RESPONSE


async def plain(scope: Any, receive: Any, send: Any) -> None:
    assert scope["method"] == "GET" and scope["state"] == {"kept": 1}
    assert (await receive())["more_body"] is False
    await send({"type": "http.response.start", "status": 200 if scope["path"] == "/ready" else 404, "headers": []})
    await send({"type": "http.response.body", "body": b"yes"})


async def streaming(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 503})
    await send({"type": "http.response.body", "body": b"a", "more_body": True})
    await send({"type": "http.response.body", "body": b"b"})


async def working_on(scope: Any, receive: Any, send: Any) -> None:
    await plain(scope, receive, send)
    await asyncio.sleep(3600)


async def waiting_for_the_client(scope: Any, receive: Any, send: Any) -> None:
    await plain(scope, receive, send)
    assert (await receive())["type"] == "http.disconnect"


async def raising(scope: Any, receive: Any, send: Any) -> None:
    raise RuntimeError("on purpose")


async def silent(scope: Any, receive: Any, send: Any) -> None:
    pass


@pytest.mark.parametrize(
    ("app", "status"),
    [
        (plain, 200),
        (streaming, 503),
        (working_on, 200),
        (waiting_for_the_client, 200),
        (raising, NO_RESPONSE),
        (silent, NO_RESPONSE),
    ],
)
async def test_status(app: Any, status: int) -> None:
    """The status is known as soon as the response is complete, whatever the app does afterwards."""
    async with asyncio.timeout(5):
        assert await readiness.ask(app, "/ready", {"kept": 1}) == status
