"""The bus of many machines: the log is a stream in Redis (https://redis.io/docs/latest/develop/data-types/streams/)."""

import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from .bus import Beat, Bus, Keep, Message, Position
from .errors import BadCursor, Unavailable

LOG, BEATS = "slipway:log", "slipway:beats"
KEEP_BEATS = 64
TRIM_EVERY = 64  # publishes between two looks for what is too old
PUBLISH_TIMEOUT_SECONDS = 2.0
BLOCK_MILLISECONDS = 1_500  # how long one read waits for news; below the client's own time-out, which is 5 s by default
LISTEN_TIMEOUT_SECONDS = 4.0


class RedisBus(Bus):
    """One connection listens, a pool of others publishes."""

    def __init__(self, url: str, keep: Keep) -> None:
        super().__init__()
        self._keep = keep
        self._published = 0
        self._last_beat = "$"
        self._publisher = _client(url, PUBLISH_TIMEOUT_SECONDS)
        self._listener = _client(url, LISTEN_TIMEOUT_SECONDS)

    def parse(self, text: str) -> Position:
        milliseconds, _, sequence = text.partition("-")
        if not all(part.isascii() and part.isdigit() and len(part) < 20 for part in (milliseconds, sequence or "0")):
            raise BadCursor(text)
        return int(milliseconds), int(sequence or 0)

    async def publish(self, data: str) -> str:
        async with _translated():
            number: str = await _answer(
                self._publisher.xadd(LOG, {"data": data}, maxlen=self._keep.messages, approximate=True)
            )
            self._published += 1
            if self._published % TRIM_EVERY == 0:
                oldest = round((time.time() - self._keep.seconds) * 1_000)
                await self._publisher.xtrim(LOG, minid=f"{oldest}-0", approximate=True)
        return number

    async def beat(self, data: str) -> None:
        async with _translated():
            await self._publisher.xadd(BEATS, {"data": data}, maxlen=KEEP_BEATS, approximate=True)

    async def _kept(self) -> tuple[Position, Position]:
        async with _translated():
            if not await self._publisher.exists(LOG):
                return (0, 0), (0, 0)
            stream = await _answer(self._publisher.xinfo_stream(LOG))
        newest = self.parse(stream["last-generated-id"])
        if stream["entries-added"] == stream["length"]:
            return (0, 0), newest
        first = stream["first-entry"]
        milliseconds, sequence = self.parse(first[0]) if first else newest
        return (milliseconds, sequence - (first is not None)), newest

    async def _read(self, after: Position, limit: int) -> list[Message]:
        async with _translated():
            entries = await _answer(self._publisher.xrange(LOG, min=f"({_text(after)}", count=limit))
        return [_message(self, entry) for entry in entries]

    async def _news(self, after: Position) -> list[Message | Beat]:
        streams: dict[Any, Any] = {LOG: _text(after), BEATS: self._last_beat}
        async with _translated():
            answer = await _answer(self._listener.xread(streams, block=BLOCK_MILLISECONDS))
        news: list[Message | Beat] = []
        for name, entries in answer.items() if isinstance(answer, dict) else answer:
            if name == BEATS:
                self._last_beat = entries[-1][0]
                news += [Beat(fields["data"]) for _, fields in entries]
            else:
                news += [_message(self, entry) for entry in entries]
        return news

    async def _close(self) -> None:
        await self._publisher.aclose()
        await self._listener.aclose()


def _client(url: str, timeout: float) -> "Redis":
    return Redis.from_url(url, decode_responses=True, socket_timeout=timeout, socket_connect_timeout=2.0)


def _message(bus: RedisBus, entry: tuple[str, dict[str, str]]) -> Message:
    return Message(entry[0], bus.parse(entry[0]), entry[1]["data"])


def _text(position: Position) -> str:
    return "-".join(map(str, position))


async def _answer(answer: Awaitable[Any] | Any) -> Any:
    """redis-py types its answers as anything that any client may give."""
    return await answer


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise Unavailable(f"Redis is not available: {type(error).__name__}") from error
