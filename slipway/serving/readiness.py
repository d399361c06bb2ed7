"""Asks the worker's own app whether it is ready, by a request within the process, without a connection."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from slipway.serving.mailbox import Mailbox
from slipway.serving.takeover import NO_RESPONSE

log = logging.getLogger("gunicorn.error")

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


class Answers:
    """Answers the arbiter's questions whether the app is ready, one at a time."""

    def __init__(self, mailbox: Mailbox, ask: Callable[[], Awaitable[int]], told: Callable[[], None]) -> None:
        self._mailbox = mailbox
        self._ask = ask
        self._told = told  # called after each answer
        self._question = 0
        self._asking: asyncio.Task[None] | None = None

    def look(self) -> None:
        """Ask the app if there is a new question; give up an older one that is not answered yet."""
        if (question := self._mailbox.question) == self._question:
            return
        self._question = question
        if self._asking is not None:
            self._asking.cancel()
        self._asking = asyncio.create_task(self._answer(question))

    async def _answer(self, question: int) -> None:
        self._mailbox.answer(question, await self._ask())
        self._told()


async def ask(app: App, path: str, state: dict[str, Any], root_path: str = "") -> int:
    """GET a path of an ASGI app; return the status of its response, NO_RESPONSE if it raises."""
    response = _Response()
    running = asyncio.ensure_future(app(_scope(path, state, root_path), response.receive, response.send))
    ended = asyncio.ensure_future(response.ended.wait())
    try:
        await asyncio.wait({running, ended}, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        running.cancel()
        raise
    finally:
        ended.cancel()
    if running.done() and not running.cancelled() and (error := running.exception()) is not None:
        log.warning("%s raises", path, exc_info=error)
        return NO_RESPONSE
    return response.status


def _scope(path: str, state: dict[str, Any], root_path: str) -> Message:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": root_path + path,
        "raw_path": (root_path + path).encode(),
        "query_string": b"",
        "root_path": root_path,
        "headers": [(b"host", b"localhost"), (b"user-agent", b"slipway"), (b"accept", b"*/*")],
        "client": ("127.0.0.1", 0),
        "server": ("localhost", 80),
        "state": state.copy(),
        "extensions": {},
    }


class _Response:
    """The client's side of the request: sends an empty body, and keeps the status of the response."""

    def __init__(self) -> None:
        self.status = NO_RESPONSE
        self.ended = asyncio.Event()
        self._asked = False

    async def receive(self) -> Message:
        if self._asked:
            await self.ended.wait()
            return {"type": "http.disconnect"}
        self._asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = int(message["status"])
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            self.ended.set()
