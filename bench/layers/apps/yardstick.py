"""The unit in which the app's instructions are counted: work of the same kinds as the app's, which never changes.

The number of instructions for a line of Python depends on the interpreter and its build; the ratio of the app to this
module depends on them far less. A change here invalidates every committed figure.
"""

import re
from collections.abc import Awaitable
from typing import Any

import orjson

from app.asgi.types import ASGIApp, Message, Receive, Scope, Send

SANE = re.compile(rb"[A-Za-z0-9._-]{1,64}")
NUMBER = re.compile(r"/api/users/(?P<id>[^/]+)")
USERS = {2: {"id": 2, "name": "Grace", "created_at": "2026-01-01T00:00:00Z"}}


class ProbeCall:
    """The state of one request."""

    __slots__ = ("identity", "sent", "status", "totals", "way")

    def __init__(self, scope: Scope, send: Send, totals: dict[str, int]) -> None:
        self.way = send
        self.totals = totals
        self.status = 0
        self.sent = 0
        self.identity = ""
        for name, value in scope["headers"]:
            if name == b"x-request-id" and SANE.fullmatch(value):
                self.identity = value.decode()
        totals["open"] += 1

    def send(self, message: Message) -> Awaitable[None]:
        """Note the status and the bytes."""
        if message["type"] == "http.response.start":
            self.status = message.get("status", 0)
            headers = [*message["headers"], (b"x-request-id", self.identity.encode())]
            return self.way({**message, "headers": headers})
        self.sent += len(message.get("body", b""))
        return self.way(message)


class Outer:
    """Keeps a ProbeCall for each request."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.totals = {"open": 0}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return
        call = ProbeCall(scope, send, self.totals)
        scope.setdefault("state", {})["call"] = call
        try:
            await self.app(scope, receive, call.send)
        finally:
            self.totals["open"] -= 1


async def inner(scope: Scope, receive: Receive, send: Send) -> None:
    """Find a user, or read a name, and answer."""
    if found := NUMBER.fullmatch(scope["path"]):
        number = found.groupdict()["id"]
        user: dict[str, Any] = USERS[int(number)] if number.isascii() and number.isdigit() else {}
    else:
        body = (await receive()).get("body", b"")
        user = {"id": 3, "name": orjson.loads(body)["name"].strip(), "created_at": "2026-01-01T00:00:00Z"}
    text = orjson.dumps(user)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(text))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})


application = Outer(inner)
