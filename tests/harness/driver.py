"""Drives an ASGI app message by message, each step within a time-out.

An exception of the app is raised by the step that waits for the app, so that no test hangs or passes by mistake.
"""

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import unquote

from slipway.middleware.types import ASGIApp, Header, Message, Scope

SECONDS = 5.0  # for a message that must come
QUIET_SECONDS = 0.05  # for one that must not


def http_scope(method: str, target: str, headers: Sequence[Header] = (), state: dict[str, Any] | None = None) -> Scope:
    """The scope of one HTTP request as uvicorn makes it; `target` is a path with an optional query."""
    raw, _, query = target.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(raw),
        "raw_path": raw.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": list(headers),
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8000),
        "state": {} if state is None else state,
    }


def websocket_scope(
    target: str, headers: Sequence[Header] = (), state: dict[str, Any] | None = None, *, denial: bool = True
) -> Scope:
    """The scope of one websocket; `denial` says whether the server has the denial extension."""
    scope = http_scope("GET", target, headers, state)
    del scope["method"]
    extensions: dict[str, Any] = {"websocket.http.response": {}} if denial else {}
    return {**scope, "type": "websocket", "scheme": "ws", "subprotocols": [], "extensions": extensions}


class Conversation:
    """One run of an app with one scope. Leaving the block cancels a running app."""

    def __init__(self, app: ASGIApp, scope: Scope) -> None:
        self.scope = scope
        self.send_error: Exception | None = None  # if set, the app's next send raises it
        self._app = app
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message] = asyncio.Queue()

    async def __aenter__(self) -> "Conversation":
        self.task = asyncio.ensure_future(self._app(self.scope, self._to_app.get, self._sent))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def _sent(self, message: Message) -> None:
        if self.send_error is not None:
            raise self.send_error
        self._from_app.put_nowait(message)

    def give(self, kind: str, **members: Any) -> None:
        """Hand the app its next message."""
        self._to_app.put_nowait({"type": kind, **members})

    async def take(self, kind: str | None = None, seconds: float = SECONDS) -> Message:
        """Return the app's next message; raise the app's own exception, or TimeoutError."""
        coming = asyncio.ensure_future(self._from_app.get())
        await asyncio.wait({coming, self.task}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if not coming.done():
            coming.cancel()
            if self.task.done():
                self.task.result()
                raise AssertionError(f"the app returned instead of sending {kind or 'a message'}")
            raise TimeoutError(f"the app did not send {kind or 'a message'} within {seconds} s")
        message = coming.result()
        assert kind in (None, message["type"]), message
        return message

    async def nothing(self, seconds: float = QUIET_SECONDS) -> None:
        """Check that the app neither sends nor ends for a moment."""
        coming = asyncio.ensure_future(self._from_app.get())
        done, _ = await asyncio.wait({coming, self.task}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        coming.cancel()
        assert not done, f"unexpected: {coming.result() if coming in done else 'the app ended'}"

    async def end(self, seconds: float = SECONDS) -> None:
        """Wait until the app returns; raise its exception, or AssertionError if a message was not taken."""
        async with asyncio.timeout(seconds):
            await self.task
        assert self._from_app.empty(), self._from_app.get_nowait()


@dataclass(frozen=True)
class Answer:
    """A whole HTTP response."""

    status: int
    headers: list[Header]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the value of a header that occurs at most once."""
        values = [value.decode("latin-1") for key, value in self.headers if key == name.encode()]
        assert len(values) <= 1, (name, values)
        return values[0] if values else None

    def json(self) -> Any:
        return json.loads(self.body)


async def request(
    app: ASGIApp, method: str, target: str, headers: Sequence[Header] = (), body: Iterable[bytes] = (b"",), **scope: Any
) -> Answer:
    """Send one HTTP request, its body in pieces, and return the whole response."""
    async with Conversation(app, {**http_scope(method, target, headers), **scope}) as talk:
        pieces = list(body)
        for number, piece in enumerate(pieces, 1):
            talk.give("http.request", body=piece, more_body=number < len(pieces))
        start = await talk.take("http.response.start")
        received = b""
        more = True
        while more:
            message = await talk.take("http.response.body")
            received += message.get("body", b"")
            more = message.get("more_body", False)
        await talk.end()
        return Answer(start["status"], list(start["headers"]), received)
