"""Websockets: an echo, and a chat that reaches every client of every worker in one order."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from app import fields
from app.asgi.errors import HTTPError
from app.asgi.response import encode_json
from app.asgi.websocket import RESTART, TRY_AGAIN, WebSocket
from app.services import Services
from app.services.bus import Beat, Bus, Item, Reset, SlowReader
from app.services.errors import Unavailable

USER_LENGTH = 40  # characters
MESSAGE_LENGTH = 2_000  # characters


async def echo(socket: WebSocket) -> None:
    """Send back every message, text or binary, as it came."""
    await socket.accept()
    while True:
        await socket.send(await socket.receive())


async def chat(socket: WebSocket) -> None:
    """Take `{"user", "message"}`, send every message of all clients; `?after=ID` first what was missed since."""
    services: Services = socket.state["services"]
    after = fields.message_id(services.bus.parse, socket.query.get("after"))
    await socket.accept()
    await socket.send(encode_json({"type": "hello", **services.monitor.identity}))
    async with services.bus.subscribe(after) as items:
        reading = asyncio.create_task(_read(socket, services.bus))
        writing = asyncio.create_task(_write(socket, items))
        draining = asyncio.create_task(services.draining.wait())
        tasks = {reading, writing, draining}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if draining in done:
                await socket.close(RESTART, "the worker restarts; connect again")
            for task in done - {draining}:
                task.result()
        except (SlowReader, Unavailable) as error:
            await socket.close(TRY_AGAIN, str(error) or "too slow; connect again")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _read(socket: WebSocket, bus: Bus) -> None:
    while True:
        text = await socket.receive()
        try:
            await bus.publish(_message(text))
        except HTTPError as error:
            await socket.send(encode_json({"type": "error", "detail": error.detail}))
        except Unavailable as error:
            await socket.send(encode_json({"type": "error", "detail": f"{error}; the message was not sent"}))


async def _write(socket: WebSocket, items: AsyncIterator[Item]) -> None:
    async for item in items:
        if isinstance(item, Reset):
            await socket.send('{"type":"reset"}')
        elif not isinstance(item, Beat):
            await socket.send(item.json())


def _message(text: str | bytes) -> str:
    try:
        data = fields.json_object(json.loads(text))
    except (ValueError, RecursionError):
        raise HTTPError(400, "The message is not JSON.") from None
    user, message = fields.text(data, "user", USER_LENGTH), fields.text(data, "message", MESSAGE_LENGTH)
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return encode_json({"user": user, "message": message, "at": at})
