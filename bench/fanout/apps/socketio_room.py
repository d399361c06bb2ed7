"""python-socketio: https://python-socketio.readthedocs.io/en/stable/server.html#using-a-client-manager"""

import os
from typing import Any

import socketio

server = socketio.AsyncServer(async_mode="asgi", client_manager=socketio.AsyncRedisManager(os.environ["REDIS_URL"]))
application = socketio.ASGIApp(server)


@server.event
async def connect(sid: str, environ: dict[str, Any]) -> None:
    await server.enter_room(sid, "chat")


@server.on("message")
async def message(sid: str, data: dict[str, Any]) -> None:
    await server.emit("message", data, room="chat")
