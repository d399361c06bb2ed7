"""One connection's place in the log, and a bounded queue of what it has not read yet."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from random import uniform
from typing import Protocol

from .backlog import Backlog
from .errors import Unavailable
from .items import BEGINNING, Availability, Beat, Extract, Item, Message, Place, Reset
from .replay import replay

log = logging.getLogger("app.bus")

BATCH = 64  # messages that are read from the log at a time
AGAIN_SECONDS = (0.2, 0.5)  # after a read that has failed it is tried again
TELL_SECONDS = 0.7  # a client is told that the bus is away when a read takes longer, or fails twice
READ_SECONDS = 5.0  # a read that takes longer has failed


class SlowReader(Exception):
    """The connection lags behind by more than its queue holds."""


class Log(Protocol):
    """What a subscription needs of the bus."""

    @property
    def epoch(self) -> str: ...

    @property
    def last(self) -> int: ...

    @property
    def available(self) -> bool: ...

    @property
    def readable(self) -> bool: ...

    async def read(self, after: int, limit: int) -> Extract: ...


class Subscription:
    """Behind, it reads the log itself; once it has caught up with the worker's listener it is live, and is fed."""

    __slots__ = (
        "_after",
        "_again",
        "_backlog",
        "_beats",
        "_failures",
        "_log",
        "_now",
        "_told",
        "_wake",
        "live",
        "overflowed",
    )

    def __init__(
        self,
        log: Log,
        after: Place | None,
        wake: Callable[[], None],
        *,
        beats: bool,
        now: Callable[[Message], bool] | None = None,
    ) -> None:
        here = (log.epoch, log.last)
        self._log = log
        self._wake = wake
        self._now = now  # takes a message at once, or not
        self._beats = beats
        self._backlog: Backlog | None = None  # an empty one has 0.7 KiB, and most connections are idle
        self._after = here if after is None else after
        self._again: asyncio.TimerHandle | None = None
        self._failures = 0  # reads that have failed one after the other
        self._told = True  # what the client knows of the bus: whether it is available
        self.live = after is None or (after == here and after != BEGINNING)
        self.overflowed = False

    def put(self, item: Item) -> None:
        """Called by the listener. What a connection is going to read from the log itself is not kept for it."""
        if self.overflowed or (isinstance(item, Beat) and not self._beats):
            return
        if self.live and isinstance(item, Message):
            if item.number <= self._after[1]:
                return  # it has read further than the listener
            if self._backlog is None and self._now is not None and self._now(item):
                return
        elif self.live and isinstance(item, Reset):
            self._after = BEGINNING
        if self.live or not isinstance(item, Message | Reset):
            self._backlog = self._backlog or Backlog()
            self._backlog.put(item)
            self.overflowed = self._backlog.is_too_long
        if self.overflowed:
            self._backlog = None
        self._wake()

    def catch_up(self) -> None:
        """Called when the log can be read again."""
        if not self.live:
            self._wake()

    def close(self) -> None:
        """The connection has ended: it is not woken again."""
        if self._again is not None:
            self._again.cancel()

    async def take(self) -> AsyncIterator[Item]:
        """All that there is now, in order; raises SlowReader when the queue has overflowed."""
        while True:
            while self._backlog:
                item = self._backlog.next()
                if not isinstance(item, Availability) or self._is_news(item.available):
                    yield item
            self._backlog = None
            if self.overflowed:
                raise SlowReader
            if self.live:
                return
            failures = self._failures
            async for item in self._read():
                yield item
            if self._failures > failures and not self._backlog:
                return

    async def follow(self, filled: asyncio.Event) -> AsyncIterator[Item]:
        """All that comes, without end; `filled` is the event that waking sets."""
        while True:
            filled.clear()
            async for item in self.take():
                yield item
            await filled.wait()

    def _is_news(self, available: bool) -> bool:
        told, self._told = self._told, available
        return available is not told

    async def _read(self) -> AsyncIterator[Item]:
        """The log after our place. When it can't be had we are woken again; a client that waits is told."""
        reading = asyncio.ensure_future(self._log.read(self._after[1], BATCH))
        try:
            done, _ = await asyncio.wait({reading}, timeout=TELL_SECONDS)
            if not done:
                if self._is_news(False):
                    yield Availability(False)
                done, _ = await asyncio.wait({reading}, timeout=READ_SECONDS - TELL_SECONDS)
            extract = self._extract(reading) if done else None
        finally:
            reading.cancel()
        if extract is None or extract.epoch != self._log.epoch:  # the listener has not heard of the new epoch yet
            self._failed()
            if self._failures > 1 and self._is_news(False):
                yield Availability(False)
            return
        self._failures = 0
        if self._is_news(self._told or self._log.available):
            yield Availability(True)
        items, self._after = replay(extract, self._after)
        for item in items:
            yield item
        if self._after != BEGINNING:  # live, if that is as far as the listener has got
            self.live = extract.epoch == self._log.epoch and self._after[1] >= self._log.last

    def _extract(self, reading: "asyncio.Future[Extract]") -> Extract | None:
        try:
            return reading.result()
        except Unavailable:
            return None
        except Exception:
            if not self._failures:
                log.exception("a connection could not read the log and tries again")
            return None

    def _failed(self) -> None:
        """Try again soon; while the log can't be read at all the bus says when it can."""
        self._failures += 1
        if self._log.readable:
            self.close()
            self._again = asyncio.get_running_loop().call_later(uniform(*AGAIN_SECONDS), self._wake)
