"""A FastAPI app: pydantic models, a resource of the lifespan, a websocket, server-sent events, a background task."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import BackgroundTasks, Depends, FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import PlainTextResponse, RedirectResponse, StreamingResponse
from pydantic import BaseModel, Field

from .warehouse import Warehouse

log = logging.getLogger(__name__)


class NewItem(BaseModel):
    """A new item, as a client sends it."""

    name: str = Field(min_length=1, max_length=100)


class Item(NewItem):
    """An item, as a client gets it."""

    id: int


class Upload(BaseModel):
    """The size and the hash of an uploaded body."""

    bytes: int
    sha256: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Open one worker's resources; Slipway adds `draining` to the state."""
    async with Warehouse() as warehouse:
        yield {"warehouse": warehouse}


app = FastAPI(title="Items", lifespan=lifespan)


def warehouse_of(request: Request) -> Warehouse:
    """Return the worker's warehouse."""
    warehouse: Warehouse = request.state.warehouse
    return warehouse


Stock = Annotated[Warehouse, Depends(warehouse_of)]


@app.get("/", response_class=PlainTextResponse)
async def home() -> str:
    return "Hello from fastapi\n"


@app.get("/items/{id}")
async def item(id: int, stock: Stock) -> Item:  # noqa: A002 (the parameter's name in the path)
    return Item(id=id, name=stock.name_of(id))


@app.post("/items", status_code=201)
async def create(new: NewItem, request: Request, response: Response, stock: Stock, tasks: BackgroundTasks) -> Item:
    made = Item(id=stock.take(new.name), name=new.name)
    response.headers["location"] = str(request.url_for("item", id=made.id))
    tasks.add_task(log.info, "%s is in stock", made.name)
    return made


@app.post("/files")
async def upload(request: Request) -> Upload:
    digest, size = hashlib.sha256(), 0
    async for piece in request.stream():
        digest.update(piece)
        size += len(piece)
    return Upload(bytes=size, sha256=digest.hexdigest())


@app.get("/old")
async def old(request: Request) -> RedirectResponse:
    return RedirectResponse(request.url_for("item", id=7))


@app.get("/client")
async def client(request: Request) -> dict[str, str | None]:
    host = request.client.host if request.client else None
    return {"client": host, "url": str(request.url_for("item", id=7))}


@app.get("/started")
async def started(stock: Stock) -> dict[str, bool]:
    return {"lifespan": stock.is_open}


@app.get("/events")
async def events(request: Request) -> StreamingResponse:
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


@app.websocket("/ws")
async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        pass
