"""An app that reports each request as it saw it, and violates a part of ASGI on the paths that ask for it."""

import asyncio
import hashlib
import json
import os
from typing import Any

from tests.live.lifespan import lifespan
from tests.live.turns import Turns

SEEN: list[str] = []  # method and path of every request since the worker's start
turns = Turns()


def answered(method: str, path: str, body: bytes) -> dict[str, Any]:
    """Return the app's answer to such a request."""
    return {"saw": f"{method} {path}", "length": len(body), "digest": hashlib.sha256(body).hexdigest()}


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the request, `/seen` and `/worker` with all requests of the worker, `/fields` with the names of the
    header fields, `/turn` with the longest turn of the event loop.

    The paths of FAILURES fail before the client is sent anything, those of LATE_FAILURES later; SOCKETS are websockets.
    """
    if scope["type"] == "lifespan":
        turns.watch()
        await lifespan(receive, send)
    elif scope["type"] == "websocket":
        await SOCKETS[scope["path"]](receive, send)
    else:
        SEEN.append(f"{scope['method']} {scope['path']}")
        await {**FAILURES, **LATE_FAILURES}.get(scope["path"], mirror)(scope, receive, send)


async def mirror(scope: Any, receive: Any, send: Any) -> None:
    body, more = b"", True
    while more and scope["path"] != "/unread":
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        more = message["more_body"]
    content: Any = {
        "/seen": SEEN,
        "/worker": {"pid": os.getpid(), "seen": SEEN},
        "/fields": [name.decode() for name, _ in scope["headers"]],
    }.get(scope["path"], answered(scope["method"], scope["path"], body))
    if scope["path"] == "/turn":
        content = turns.take()
    data = json.dumps(content).encode()
    status = 404 if scope["path"] == "/unread" else 200
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"%d" % len(data))]})
    await send({"type": "http.response.body", "body": data})


START = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")]}


async def raises(scope: Any, receive: Any, send: Any) -> None:
    raise RuntimeError("on purpose")


async def returns(scope: Any, receive: Any, send: Any) -> None:
    pass


async def returns_something(scope: Any, receive: Any, send: Any) -> Any:
    return "on purpose"


async def start_then_raises(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    raise RuntimeError("on purpose")


async def start_then_returns(scope: Any, receive: Any, send: Any) -> None:
    await send(START)


async def start_then_something(scope: Any, receive: Any, send: Any) -> Any:
    await send(START)
    return "on purpose"


async def start_twice(scope: Any, receive: Any, send: Any) -> None:
    """Act as an error middleware that does not know whether the answer has begun."""
    await send(START)
    await send({**START, "status": 500})


async def swallowed(scope: Any, receive: Any, send: Any) -> None:
    """Act as an error middleware that logs and returns."""
    try:
        await start_then_raises(scope, receive, send)
    except RuntimeError:
        return


async def start_then_cancelled(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    raise asyncio.CancelledError


async def wrong_header(scope: Any, receive: Any, send: Any) -> None:
    await send({**START, "headers": [(b"x-a", b"1\r\n2")]})


async def wrong_status(scope: Any, receive: Any, send: Any) -> None:
    await send({**START, "status": 1000})


async def too_long(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    await send({"type": "http.response.body", "body": b"four"})


FAILURES: dict[str, Any] = {
    f"/{each.__name__}": each
    for each in (
        raises, returns, returns_something, start_then_raises, start_then_returns, start_then_something, start_twice,
        swallowed, start_then_cancelled, wrong_header, wrong_status, too_long,
    )
}  # fmt: skip


async def part_then_raises(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    await send({"type": "http.response.body", "body": b"a", "more_body": True})
    raise RuntimeError("on purpose")


async def nothing_then_raises(scope: Any, receive: Any, send: Any) -> None:
    await send(START)
    await send({"type": "http.response.body", "body": b"", "more_body": True})
    raise RuntimeError("on purpose")


async def whole_then_raises(scope: Any, receive: Any, send: Any) -> None:
    await send({**START, "status": 202})
    await send({"type": "http.response.body", "body": b"abc"})
    raise RuntimeError("on purpose")


LATE_FAILURES: dict[str, Any] = {
    f"/{each.__name__}": each for each in (part_then_raises, nothing_then_raises, whole_then_raises)
}


async def echo(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})


async def talk(receive: Any, send: Any) -> None:
    """Send for ever, whatever comes."""
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        await send({"type": "websocket.send", "bytes": bytes(10_000)})
        await asyncio.sleep(0)


async def closes(receive: Any, send: Any) -> None:
    """Close after the first message and wait for the client's answer."""
    await receive()
    await send({"type": "websocket.accept"})
    await receive()
    await send({"type": "websocket.close", "code": 4000})
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def refuses(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.close"})


async def fails(receive: Any, send: Any) -> None:
    raise RuntimeError("on purpose")


async def waits(receive: Any, send: Any) -> None:
    """Leave the handshake unanswered until the client has gone."""
    await receive()
    await receive()


SOCKETS: dict[str, Any] = {
    "/ws/echo": echo, "/ws/talk": talk, "/ws/closes": closes, "/ws/refuses": refuses, "/ws/fails": fails,
    "/ws/waits": waits,
}  # fmt: skip
