"""An app that shows what its server provides."""

import asyncio
import os
from typing import Any

seen = {"lifespan": False}


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer by path; a websocket echoes, but /refused is refused, with a response if the server supports one."""
    if scope["type"] == "lifespan":
        await receive()
        seen["lifespan"] = True
        if "state" in scope:
            scope["state"]["mine"] = "here"
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "websocket":
        await _websocket(scope, receive, send)
    elif scope["path"] == "/events":
        await _events(send)
    else:
        if scope["path"] == "/slow":
            os.close(os.open(os.environ["ARRIVED"], os.O_CREAT))  # the test waits for this file
            await asyncio.sleep(1)
        words = [str(os.getpid()), str(seen["lifespan"]), scope.get("state", {}).get("mine", ""), scope["http_version"]]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": " ".join(words).encode()})


async def _websocket(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await receive()
    if scope["path"] == "/refused":
        if "websocket.http.response" in scope.get("extensions", {}):
            await send({"type": "websocket.http.response.start", "status": 404, "headers": []})
            await send({"type": "websocket.http.response.body", "body": b"no"})
        else:
            await send({"type": "websocket.close", "code": 1000})
        return
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


async def _events(send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    while True:
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        await asyncio.sleep(0.1)
