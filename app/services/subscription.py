"""One connection's place in the log, and a bounded queue of what it has not read yet."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from random import uniform
from typing import Protocol

from .errors import Unavailable
from .items import BEGINNING, Availability, Beat, Extract, Item, Message, Place, Reset

log = logging.getLogger("app.bus")

QUEUE_MESSAGES = 256  # what a connection may lag behind, whichever comes first; then it is closed, and resumes
QUEUE_BYTES = 256 * 1024
BATCH = 64  # messages that are read from the log at a time
AGAIN_SECONDS = (0.2, 0.5)  # after a read that has failed it is tried again
TELL_SECONDS = 0.7  # a client is told that the bus is away when a read takes longer, or fails twice
READ_SECONDS = 5.0  # a read that takes longer has failed


class SlowReader(Exception):
    """The connection lags behind by more than its queue holds."""


class Log(Protocol):
    """What a subscription needs of the bus."""

    epoch: str
    last: int

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
        "_beats",
        "_bytes",
        "_failures",
        "_items",
        "_log",
        "_told",
        "_wake",
        "live",
        "overflowed",
    )

    def __init__(self, log: Log, after: Place | None, wake: Callable[[], None], *, beats: bool) -> None:
        here = (log.epoch, log.last)
        self._log = log
        self._wake = wake
        self._beats = beats
        self._items: deque[Item] | None = None  # an empty one has 0.7 KiB, and most connections are idle
        self._bytes = 0
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
            self._bytes += len(item.data)
        elif self.live and isinstance(item, Reset):
            self._after = BEGINNING
        if self.live or not isinstance(item, Message | Reset):
            self._items = self._items or deque()
            self._items.append(item)
            self.overflowed = len(self._items) > QUEUE_MESSAGES or self._bytes > QUEUE_BYTES
        if self.overflowed:
            self._items = None
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
            while self._items:
                item = self._next(self._items)
                if not isinstance(item, Availability) or self._is_news(item.available):
                    yield item
            self._items = None
            if self.overflowed:
                raise SlowReader
            if self.live:
                return
            failures = self._failures
            async for item in self._read():
                yield item
            if self._failures > failures and not self._items:
                return

    def _next(self, items: deque[Item]) -> Item:
        item = items.popleft()
        if isinstance(item, Message):
            self._bytes -= len(item.data)
        return item

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
        async for item in self._catch_up(extract):
            yield item

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
        """Try again soon; while the log can't be read by anyone the bus says when it can."""
        self._failures += 1
        if self._log.readable:
            self.close()
            self._again = asyncio.get_running_loop().call_later(uniform(*AGAIN_SECONDS), self._wake)

    async def _catch_up(self, extract: Extract) -> AsyncIterator[Item]:
        """What the log says after our place; live, if that is as far as the listener has got."""
        epoch, number = self._after
        if self._after != BEGINNING and (epoch != extract.epoch or number > extract.newest):
            self._after = BEGINNING  # an id of a log that is no more: all that is kept is news
            yield Reset()
            return
        if not extract.messages and self._after != BEGINNING and extract.has_gap(number):
            yield Reset()
        for message in extract.messages:
            if self._after != BEGINNING and message.number > self._after[1] + 1:
                yield Reset()
            self._after = (extract.epoch, message.number)
            if message.json:
                yield message
        if not extract.messages:
            self._after = (extract.epoch, extract.newest)  # the listener may have passed on more since the log was read
        self.live = extract.epoch == self._log.epoch and self._after[1] >= self._log.last
