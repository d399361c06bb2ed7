"""An app whose clients hold connections open in each way that tests/live/connections.py lists."""

import asyncio
import json
from collections import Counter

from app.asgi.types import Receive, Scope, Send

LAST_SECONDS = 0.3  # for which a slow request or handshake runs on once the worker drains; a quick stop allows 0.7

DIRECT = "direct"

under_way: Counter[str] = Counter()  # by path for those that came through nginx, else under DIRECT


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve raw ASGI and count the requests and handshakes under way."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    handler = websocket if scope["type"] == "websocket" else PATHS.get(scope["path"], refuse)
    through_nginx = any(name == b"x-forwarded-for" for name, _ in scope["headers"])
    kind = scope["path"] if through_nginx else DIRECT
    under_way[kind] += 1
    try:
        await handler(scope, receive, send)
    finally:
        under_way[kind] -= 1


async def lifespan(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    print("shutdown has run", flush=True)
    await send({"type": "lifespan.shutdown.complete"})


async def answer(send: Send, body: bytes, status: int = 200) -> None:
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer without reading the body."""
    await answer(send, b"refused", 401)


async def plaintext(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, b"Hello, World!")


async def count(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the requests and handshakes under way, this one among the direct ones."""
    await answer(send, json.dumps(under_way).encode())


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        more = message["more_body"]
    await answer(send, body)


async def last(scope: Scope) -> None:
    await scope["state"]["draining"].wait()
    await asyncio.sleep(LAST_SECONDS)


async def slow(scope: Scope, receive: Receive, send: Send) -> None:
    await last(scope)
    await answer(send, b"at last")


async def stream(scope: Scope, receive: Receive, send: Send, size: int = 10, pause: float = 0.05) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while not scope["state"]["draining"].is_set():
        await send({"type": "http.response.body", "body": b"." * size, "more_body": True})
        await asyncio.sleep(pause)
    await send({"type": "http.response.body", "body": b"over"})


async def flood(scope: Scope, receive: Receive, send: Send) -> None:
    await stream(scope, receive, send, 1 << 16, 0.0)


async def large(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, b"." * (1 << 24))


async def websocket(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    path = scope["path"]
    if path == "/undecided":
        await receive()
        await send({"type": "websocket.close"})
        return
    if path == "/slow":
        await last(scope)
    await send({"type": "websocket.accept"})
    if path == "/closes":
        await send({"type": "websocket.close", "code": 4000})
    if path == "/deaf":
        await last(scope)
    while path == "/flood":
        await send({"type": "websocket.send", "bytes": b"." * (1 << 16)})
    while (await receive())["type"] != "websocket.disconnect":
        pass


PATHS = {
    "/plaintext": plaintext,
    "/count": count,
    "/echo": echo,
    "/slow": slow,
    "/last": slow,
    "/stream": stream,
    "/flood": flood,
    "/large": large,
}
