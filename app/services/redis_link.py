"""A worker's connections to Redis; replaced when Redis refuses or fails, or its host name leads elsewhere."""

import asyncio
import logging
import re
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from .errors import Full, Unavailable
from .redis_scripts import KEYS, LATE

log = logging.getLogger("app.bus")

CONNECTIONS = 8  # per worker, beside the listener's own
ANSWER_SECONDS = 1.5  # for one command; by default redis-py waits 5 s, and tries again three times
BLOCK_SECONDS = 1.0  # how long one read of the listener waits for new entries
LET_GO_SECONDS = 0.5  # least time between replacements, however many commands are refused
LOOK_UP_SECONDS = 1.5  # between look-ups of the server's host name
CLOSE_SECONDS = 0.5
# Redis answers but is full, its memory or its disk (https://redis.io/docs/latest/develop/reference/eviction/).
# Before Redis 7 the code of an error in a script is somewhere within its text.
FULL = re.compile(r"\b(OOM|MISCONF)\b")
ODD = (ValueError, TypeError, LookupError, AttributeError)  # raised by parsing an answer that is not Redis's

Result = TypeVar("Result")


class Link:
    """A pool of connections for commands, and one connection that waits for new entries."""

    def __init__(self, url: str, password: str = "") -> None:
        self._client = _client(url, password, CONNECTIONS, ANSWER_SECONDS)
        self._listener = _client(url, password, 1, BLOCK_SECONDS + ANSWER_SECONDS)
        self._listener_is_stale = False
        self._let_go_at = 0.0
        address = self._client.connection_pool.connection_kwargs
        self._host, self._port = address.get("host"), address.get("port")  # no host: a unix socket
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._host:
            self._watching = asyncio.create_task(self._watch())

    async def run(self, parse: Callable[[Any], Result], script: str, *arguments: object) -> Result:
        """Run a script and parse its answer; raise Unavailable, or Full, if that fails."""
        async with self._guarded():
            return parse(await self._client.eval(script, len(KEYS), *KEYS, *map(str, arguments)))

    async def wait(
        self, parse: Callable[[Any], Result], streams: Mapping[str, str], script: str, *arguments: object
    ) -> Result:
        """Run a script once one of the streams has new entries, or after BLOCK_SECONDS; both in one round trip."""
        async with self._guarded(), self._listening():
            pipeline = self._listener.pipeline(transaction=False)
            named: dict[Any, Any] = dict(streams)  # a dict is invariant in its keys
            pipeline.xread(named, count=1, block=round(BLOCK_SECONDS * 1_000))
            pipeline.eval(script, len(KEYS), *KEYS, *map(str, arguments))
            answers = await pipeline.execute(raise_on_error=False)  # True would put the script into the error's text
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
            return parse(answers[-1])

    async def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching}, timeout=CLOSE_SECONDS)
        await self._client.aclose()
        await self._listener.aclose()

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        """Guard the listener's connection; replace it after a failure of any kind."""
        if self._listener_is_stale:
            self._listener_is_stale = False
            await self._listener.connection_pool.disconnect()
        try:
            yield
        except Exception:
            self._listener_is_stale = True
            raise

    @asynccontextmanager
    async def _guarded(self) -> AsyncIterator[None]:
        try:
            yield
        except (RedisError, OSError, *ODD) as error:
            if LATE not in str(error):
                await self._let_go()
            kind = Full if FULL.search(f"{getattr(error, 'status_code', '')} {error}") else Unavailable
            raise kind(f"Redis is not available: {type(error).__name__} {error}".strip()) from error

    async def _let_go(self) -> None:
        """Replace the connections, so that the host name is looked up again: another server may have taken over."""
        now = asyncio.get_running_loop().time()
        if now - self._let_go_at < LET_GO_SECONDS:
            return
        self._let_go_at = now
        self._listener_is_stale = True  # it may be in use; `wait` closes it
        pool = self._client.connection_pool
        with suppress(RedisError, OSError):  # closing a dead connection
            await pool.update_active_connections_for_reconnect()  # type: ignore[no-untyped-call]
            await pool.disconnect(inuse_connections=False)

    async def _watch(self) -> None:
        """Replace the connections when the host name leads elsewhere: the old server may still answer as before."""
        known: frozenset[str] = frozenset()
        while True:
            found = await self._look_up()
            if known and found and known.isdisjoint(found):
                log.warning("the name of Redis leads to another address; connections are made anew")
                await self._let_go()
            known = found or known
            await asyncio.sleep(LOOK_UP_SECONDS)

    async def _look_up(self) -> frozenset[str]:
        """Return the addresses of the host name; none if the look-up fails."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return frozenset()
        return frozenset(str(address[4][0]) for address in found)


def _client(url: str, password: str, connections: int, timeout: float) -> "Redis":
    return Redis.from_pool(
        BlockingConnectionPool.from_url(
            url,
            password=password or None,  # one in the URL takes precedence
            max_connections=connections,
            timeout=ANSWER_SECONDS,  # for a free connection
            socket_timeout=timeout,
            socket_connect_timeout=ANSWER_SECONDS,
            decode_responses=True,
            encoding_errors="replace",  # data of other programs must not break the reader
            retry=Retry(NoBackoff(), 0),  # a command sent twice could append a message twice
        )
    )
