"""A Starlette app: JSON, an upload, a redirect, server-sent events, a websocket, a lifespan."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from json import JSONDecodeError
from typing import TypedDict

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket


class State(TypedDict):
    """The state of one worker."""

    started: bool


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[State]:
    """Open one worker's resources; Slipway adds `draining` to the state."""
    yield {"started": True}


async def home(request: Request) -> Response:
    return PlainTextResponse("Hello from starlette\n")


async def item(request: Request) -> Response:
    number = request.path_params["id"]
    return JSONResponse({"id": number, "name": f"item {number}"})


async def create(request: Request) -> Response:
    try:
        name = (await request.json())["name"]
    except (JSONDecodeError, UnicodeDecodeError, TypeError, LookupError):
        return JSONResponse({"detail": "a JSON object with a name"}, 422)
    return JSONResponse({"id": 7, "name": name}, 201, {"location": str(request.url_for("item", id=7))})


async def upload(request: Request) -> Response:
    digest, size = hashlib.sha256(), 0
    async for piece in request.stream():
        digest.update(piece)
        size += len(piece)
    return JSONResponse({"bytes": size, "sha256": digest.hexdigest()})


async def old(request: Request) -> Response:
    return RedirectResponse(request.url_for("item", id=7))


async def client(request: Request) -> Response:
    host = request.client.host if request.client else None
    return JSONResponse({"client": host, "url": str(request.url_for("item", id=7))})


async def started(request: Request) -> Response:
    return JSONResponse({"lifespan": request.state.started})


async def events(request: Request) -> Response:
    return StreamingResponse(count(request.state.draining), media_type="text/event-stream")


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


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


app = Starlette(
    routes=[
        Route("/", home),
        Route("/items/{id:int}", item, name="item"),
        Route("/items", create, methods=["POST"]),
        Route("/files", upload, methods=["POST"]),
        Route("/old", old),
        Route("/client", client),
        Route("/started", started),
        Route("/events", events),
        WebSocketRoute("/ws", echo),
    ],
    lifespan=lifespan,
)
