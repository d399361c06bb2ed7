"""An ASGI 2 app: called with the scope it returns an instance, which is then awaited with receive and send.

ASGI 2 was published before 2019; some libraries still offer such apps. uvicorn and daphne run them unchanged.
"""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

started = False


class App:
    """One instance for each connection."""

    def __init__(self, scope: Message) -> None:
        self.scope = scope

    async def __call__(self, receive: Receive, send: Send) -> None:
        self.receive, self.send = receive, send
        await getattr(self, self.scope["type"])()

    async def lifespan(self) -> None:
        """Handle the start and the stop of the worker."""
        global started
        await self.receive()
        started = True
        await self.send({"type": "lifespan.startup.complete"})
        await self.receive()
        await self.send({"type": "lifespan.shutdown.complete"})

    async def websocket(self) -> None:
        """Send back every message."""
        await self.receive()
        await self.send({"type": "websocket.accept"})
        while (message := await self.receive())["type"] == "websocket.receive":
            await self.send({"type": "websocket.send", "text": message["text"]})

    async def http(self) -> None:
        """Answer by method and path."""
        scope = self.scope
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        match scope["method"], path.split("/")[1:]:
            case "GET", [""]:
                await self.answer(200, b"Hello from asgi2\n", b"text/plain")
            case "GET", ["items", number] if number.isdigit():
                await self.json(200, {"id": int(number), "name": f"item {number}"})
            case "POST", ["items"]:
                await self.create()
            case "POST", ["files"]:
                await self.upload()
            case "GET", ["old"]:
                await self.answer(307, b"", b"text/plain", location=self.url("/items/7"))
            case "GET", ["client"]:
                host = scope["client"][0] if scope.get("client") else None
                await self.json(200, {"client": host, "url": self.url("/items/7")})
            case "GET", ["started"]:
                await self.json(200, {"lifespan": started})
            case "GET", ["events"]:
                await self.events()
            case _:
                await self.json(404, {"detail": "Not Found"})

    async def create(self) -> None:
        """Create an item from JSON."""
        body = b"".join([piece async for piece in self.pieces()])
        try:
            name = json.loads(body)["name"]
        except (ValueError, TypeError, LookupError):
            return await self.json(422, {"detail": "a JSON object with a name"})
        await self.json(201, {"id": 7, "name": name}, location=self.url("/items/7"))

    async def upload(self) -> None:
        """Read a body of any size, piece by piece."""
        digest, size = hashlib.sha256(), 0
        async for piece in self.pieces():
            digest.update(piece)
            size += len(piece)
        await self.json(200, {"bytes": size, "sha256": digest.hexdigest()})

    async def events(self) -> None:
        """Send numbers as server-sent events until the client leaves or the worker drains."""
        gone = asyncio.create_task(self.left())
        draining = asyncio.create_task(self.scope["state"]["draining"].wait())
        headers = [(b"content-type", b"text/event-stream")]
        await self.send({"type": "http.response.start", "status": 200, "headers": headers})
        number = 0
        while not gone.done() and not draining.done():
            number += 1
            await self.send({"type": "http.response.body", "body": b"data: %d\n\n" % number, "more_body": True})
            await asyncio.wait({gone, draining}, timeout=0.2, return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        draining.cancel()
        await self.send({"type": "http.response.body", "body": b"event: bye\ndata:\n\n"})

    async def left(self) -> None:
        """Wait until the client has left."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def pieces(self) -> Any:
        """Yield the pieces of the body as they arrive."""
        more = True
        while more:
            message = await self.receive()
            more = message.get("more_body", False)
            yield message.get("body", b"")

    def url(self, path: str) -> str:
        """Return an absolute URL as the client sees it."""
        scope = self.scope
        host = dict(scope["headers"]).get(b"host", b"localhost").decode()
        return f"{scope['scheme']}://{host}{quote(scope.get('root_path', '') + path)}"

    async def json(self, status: int, value: object, **headers: str) -> None:
        """Answer with JSON."""
        await self.answer(status, json.dumps(value).encode(), b"application/json", **headers)

    async def answer(self, status: int, body: bytes, kind: bytes, **headers: str) -> None:
        """Send a complete answer."""
        fields = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
        fields += [(name.encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": fields})
        await self.send({"type": "http.response.body", "body": body})
