"""The bus of many machines: the log is a stream in Redis (https://redis.io/docs/latest/develop/data-types/streams/)."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from .bus import Beat, Bus, Extract, Keep, Message
from .errors import Unavailable
from .redis_scripts import APPEND, BEAT, BEATS, KEYS, LATE, LOG, READ, RENEW

KEEP_BEATS = 64
CONNECTIONS = 8  # per worker, beside the listener's own
ANSWER_SECONDS = 1.5  # for one command; by default redis-py waits 5 s, and tries again three times
BLOCK_SECONDS = 1.0  # how long one read of the listener waits for news
CLOCK_SECONDS = 0.1  # a longer round trip says nothing about Redis's clock
NEVER = 9e15  # milliseconds
NO_BEATS = "9999999999999999-0"  # an id after all that Redis gives


class RedisBus(Bus):
    """One connection listens, a pool of others does the rest."""

    def __init__(self, url: str, keep: Keep) -> None:
        super().__init__()
        self._keep = keep
        self._last_beat = "0-0"
        self._ahead: float | None = None  # what Redis's clock shows more than our loop's, in milliseconds
        self._client = _client(url, CONNECTIONS, ANSWER_SECONDS)
        self._listener = _client(url, 1, BLOCK_SECONDS + ANSWER_SECONDS)

    async def append(self, data: str, key: str) -> tuple[str, int]:
        latest = NEVER if self._ahead is None else self._milliseconds() + self._ahead + ANSWER_SECONDS * 1_000
        try:
            epoch, number = await self._run(APPEND, _name(), data, self._keep.messages, latest, key, self._keep.seconds)
        except Unavailable as error:
            if LATE in str(error):
                self._ahead = None  # one of the clocks was set; the next beat compares them again
            raise
        return epoch.partition(":")[0], number

    async def tell(self, data: str) -> None:
        before = self._milliseconds()
        self._compare(before, await self._run(BEAT, data, KEEP_BEATS, self._keep.seconds))

    async def read(self, after: int, limit: int) -> Extract:
        before = self._milliseconds()
        answer = await self._run(READ, _name(), after, limit, self._keep.seconds, NO_BEATS)
        self._compare(before, answer[4])
        return _extract(answer)

    async def news(self, after: int, limit: int) -> tuple[Extract, Sequence[Beat]]:
        arguments = (_name(), after, limit, self._keep.seconds, self._last_beat)
        # One trip: the script runs as soon as the read before it has something, or has waited for long enough.
        pipeline = self._listener.pipeline(transaction=False)
        streams: Any = {LOG: f"{after}-0", BEATS: self._last_beat}
        pipeline.xread(streams, count=1, block=round(BLOCK_SECONDS * 1_000))
        pipeline.eval(READ, len(KEYS), *KEYS, *map(str, arguments))
        try:
            async with _translated():
                answer = (await pipeline.execute())[-1]
        except Unavailable:
            # What idles in the pool is as dead as this connection, and would cost its next user an error.
            await self._client.connection_pool.disconnect(inuse_connections=False)
            raise
        beats = answer[3]
        self._last_beat = beats[-1][0] if beats else self._last_beat
        return _extract(answer), [Beat(fields[1]) for _, fields in beats]

    async def renew(self, epoch: str) -> None:
        await self._run(RENEW, _name(), epoch)

    async def close(self) -> None:
        await self._client.aclose()
        await self._listener.aclose()

    async def _run(self, script: str, *arguments: object) -> Any:
        async with _translated():
            return await self._client.eval(script, len(KEYS), *KEYS, *map(str, arguments))

    def _compare(self, before: float, time: float) -> None:
        if self._milliseconds() - before <= CLOCK_SECONDS * 1_000:
            self._ahead = time - before

    def _milliseconds(self) -> float:
        return asyncio.get_running_loop().time() * 1_000


def _client(url: str, connections: int, timeout: float) -> "Redis":
    return Redis.from_pool(
        BlockingConnectionPool.from_url(
            url,
            max_connections=connections,
            timeout=ANSWER_SECONDS,  # for a free connection
            socket_timeout=timeout,
            socket_connect_timeout=ANSWER_SECONDS,
            decode_responses=True,
            retry=Retry(NoBackoff(), 0),  # a message that is sent twice is a message too many
        )
    )


def _extract(answer: Any) -> Extract:
    epoch, _, start = answer[0].partition(":")
    messages = [Message(epoch, int(number.partition("-")[0]), fields[3]) for number, fields in answer[2] or ()]
    return Extract(epoch, int(start), int(answer[1]), messages)


def _name() -> str:
    """A name for a new epoch, if there has to be one."""
    return secrets.token_hex(4)


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise Unavailable(f"Redis is not available: {type(error).__name__} {error}".strip()) from error
