"""One connection's place in the log, and a bounded queue of what it has not read yet."""

from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from .errors import Unavailable
from .items import BEGINNING, Beat, Extract, Item, Message, Place, Reset

QUEUE_MESSAGES = 256  # what a connection may lag behind, whichever comes first; then it is closed, and resumes
QUEUE_BYTES = 256 * 1024
BATCH = 64  # messages that are read from the log at a time


class SlowReader(Exception):
    """The connection lags behind by more than its queue holds."""


class Log(Protocol):
    """What a subscription needs of the bus."""

    epoch: str
    last: int

    async def read(self, after: int, limit: int) -> Extract: ...


class Subscription:
    """Behind, it reads the log itself; once it has caught up with the worker's listener it is live, and is fed."""

    __slots__ = ("_after", "_beats", "_bytes", "_items", "_log", "_wake", "live", "overflowed")

    def __init__(self, log: Log, after: Place | None, wake: Callable[[], None], *, beats: bool) -> None:
        here = (log.epoch, log.last)
        self._log = log
        self._wake = wake
        self._beats = beats
        self._items: deque[Item] | None = None  # an empty one has 0.7 KiB, and most connections are idle
        self._bytes = 0
        self._after = here if after is None else after
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

    async def take(self) -> AsyncIterator[Item]:
        """All that there is now, in order; raises SlowReader when the queue has overflowed."""
        while True:
            while self._items:
                yield self._next(self._items)
            self._items = None
            if self.overflowed:
                raise SlowReader
            extract = None if self.live else await self._read()
            if extract is None:
                return
            async for item in self._catch_up(extract):
                yield item

    def _next(self, items: deque[Item]) -> Item:
        item = items.popleft()
        if isinstance(item, Message):
            self._bytes -= len(item.data)
        return item

    async def _read(self) -> Extract | None:
        """The log after our place; None if that can't be had now: we are woken again when it can."""
        try:
            extract = await self._log.read(self._after[1], BATCH)
        except Unavailable:
            return None
        return extract if extract.epoch == self._log.epoch else None

    async def _catch_up(self, extract: Extract) -> AsyncIterator[Item]:
        """What the log says after our place; live, if that is as far as the listener has got."""
        epoch, number = self._after
        if self._after != BEGINNING and (epoch != extract.epoch or number > extract.newest):
            self._after = BEGINNING  # an id of a log that is no more: all that is kept is news
            yield Reset()
            return
        if self._after != BEGINNING and extract.has_gap(number):
            yield Reset()
        for message in extract.messages:
            self._after = (extract.epoch, message.number)
            yield message
        if not extract.messages:
            self._after = (extract.epoch, max(extract.newest, self._log.last))
        self.live = extract.epoch == self._log.epoch and self._after[1] >= self._log.last
