"""A Quart app: Flask's interface on ASGI, with websockets and server-sent events."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

from quart import Quart, redirect, request, url_for, websocket
from quart.wrappers.response import Response

app = Quart(__name__)
started_workers: list[bool] = []


@app.before_serving
async def open_resources() -> None:
    """Open one worker's resources; the lifespan calls it."""
    started_workers.append(True)


@app.get("/")
async def home() -> tuple[str, dict[str, str]]:
    return "Hello from quart\n", {"content-type": "text/plain"}


@app.get("/items/<int:id>")
async def item(id: int) -> dict[str, Any]:  # noqa: A002 (the parameter's name in the path)
    return {"id": id, "name": f"item {id}"}


@app.post("/items")
async def create() -> tuple[dict[str, Any], int, dict[str, str]]:
    try:
        given = await request.get_json()
    except UnicodeDecodeError:  # Quart itself refuses other invalid JSON
        given = None
    if not isinstance(given, dict) or "name" not in given:
        return {"detail": "a JSON object with a name"}, 422, {}
    return {"id": 7, "name": given["name"]}, 201, {"location": url_for("item", id=7, _external=True)}


@app.post("/files")
async def upload() -> dict[str, Any]:
    digest, size = hashlib.sha256(), 0
    async for piece in request.body:
        digest.update(piece)
        size += len(piece)
    return {"bytes": size, "sha256": digest.hexdigest()}


@app.get("/old")
async def old() -> Any:
    return redirect(url_for("item", id=7, _external=True), 307)


@app.get("/client")
async def client() -> dict[str, Any]:
    return {"client": request.remote_addr, "url": url_for("item", id=7, _external=True)}


@app.get("/started")
async def started() -> dict[str, bool]:
    return {"lifespan": bool(started_workers)}


@app.get("/events")
async def events() -> Response:
    response = Response(count(request.scope["state"]["draining"]), content_type="text/event-stream")
    response.timeout = None  # a stream lasts as long as its client stays
    return response


async def count(draining: asyncio.Event) -> AsyncIterator[str]:
    """Yield numbers until the worker drains; a client that leaves cancels it."""
    number = 0
    while not draining.is_set():
        number += 1
        yield f"data: {number}\n\n"
        try:
            async with asyncio.timeout(0.2):
                await draining.wait()
        except TimeoutError:
            pass
    yield "event: bye\ndata:\n\n"


@app.websocket("/ws")
async def echo() -> None:
    while True:
        await websocket.send(await websocket.receive())
