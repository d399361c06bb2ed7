"""Server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html

The stream watches `receive` as well as its source, since uvicorn silently drops messages to a client that has left
(its HTTP spec_version is 2.3). The stream ends by itself when the worker drains.
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from .errors import Disconnected
from .response import NO_STORE
from .types import Receive, Scope, Send

HEARTBEAT_SECONDS = 15.0  # below the 60 s after which nginx and most proxies drop a silent stream
SEND_SECONDS = 10.0  # a client that accepts no data for this long is cut off; equal to nginx's send_timeout
RETRY_MILLISECONDS = 1_000  # how long a client waits before it reconnects, to another worker

HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    NO_STORE,
    (b"x-accel-buffering", b"no"),  # nginx then passes each event on at once
)


@dataclass(frozen=True, slots=True)
class Event:
    """One event. Without a name it is a `message`; without an id the client keeps its last id."""

    data: str
    name: str | None = None
    id: str | None = None

    def encode(self) -> bytes:
        return _encoded(self)


@lru_cache(maxsize=16)  # one event goes to many streams
def _encoded(event: Event) -> bytes:
    fields = (("event", event.name), ("id", event.id))
    lines = [f"{key}: {_one_line(value)}" for key, value in fields if value is not None]
    lines += [f"data: {line}" for line in event.data.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    return ("\n".join(lines) + "\n\n").encode()


def _one_line(value: str) -> str:
    return value.replace("\r", "").replace("\n", "").replace("\0", "")


class EventStream:
    """A response that sends events until the source ends, the client leaves or `draining` is set."""

    def __init__(
        self, events: AsyncGenerator[Event, None], draining: asyncio.Event, *, heartbeat: float = HEARTBEAT_SECONDS
    ) -> None:
        self.events = events
        self.draining = draining
        self.heartbeat = heartbeat  # seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})
        except OSError:  # the client has left, or the server is at its limit of streams and has answered 503
            raise Disconnected from None
        if scope["method"] != "HEAD":
            gone = asyncio.ensure_future(_disconnected(receive))
            drain = asyncio.ensure_future(self.draining.wait())
            try:
                await self._pump(send, gone, drain)
            finally:
                gone.cancel()
                drain.cancel()
                await asyncio.gather(gone, drain, return_exceptions=True)
                await self.events.aclose()
            await _send(send, b"retry: %d\n\n" % RETRY_MILLISECONDS)
        await send({"type": "http.response.body", "body": b""})

    async def _pump(self, send: Send, gone: "asyncio.Future[None]", drain: "asyncio.Future[Literal[True]]") -> None:
        """Send events until the source ends, or `gone` or `drain` is done."""
        sending = asyncio.ensure_future(self._send_events(send))
        ends: set[asyncio.Future[Any]] = {sending, gone, drain}
        try:
            while not (await asyncio.wait(ends, timeout=self.heartbeat, return_when=asyncio.FIRST_COMPLETED))[0]:
                await _send(send, b": heartbeat\n\n")
            if sending.done():
                sending.result()
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _send_events(self, send: Send) -> None:
        async for event in self.events:
            await _send(send, event.encode())
            await asyncio.sleep(0)  # else a source that never waits would block the event loop


async def _send(send: Send, body: bytes) -> None:
    try:
        async with asyncio.timeout(SEND_SECONDS):
            await send({"type": "http.response.body", "body": body, "more_body": True})
    except TimeoutError:
        raise Disconnected from None


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
