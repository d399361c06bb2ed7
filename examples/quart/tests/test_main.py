"""The app, called with Quart's own test client."""

import asyncio

from app.main import app


def test_item_is_made() -> None:
    """The answer to a new item has its address."""

    async def post() -> tuple[int, str]:
        answer = await app.test_client().post("/items", json={"name": "boat"})
        return answer.status_code, answer.headers["location"]

    assert asyncio.run(post()) == (201, "http://localhost/items/7")


def test_echo() -> None:
    """A websocket gets its text back."""

    async def echo() -> str | bytes:
        async with app.test_client().websocket("/ws") as socket:
            await socket.send("ahoy")
            return await socket.receive()

    assert asyncio.run(echo()) == "ahoy"
