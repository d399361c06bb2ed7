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

    @property
    def epoch(self) -> str: ...
    @property
    def last(self) -> int: ...
    async def read(self, after: int, limit: int) -> Extract: ...


class Subscription:
    """Behind, it reads the log itself; when it has caught up with the worker's listener it is live and is fed."""

    __slots__ = ("_after", "_beats", "_bytes", "_items", "_log", "_wake", "live", "overflowed")

    def __init__(self, log: Log, after: Place | None, wake: Callable[[], None], *, beats: bool) -> None:
        self._log = log
        self._wake = wake
        self._beats = beats
        self._items: deque[Item] = deque()
        self._bytes = 0
        self._after = after or (log.epoch, log.last)
        self.live = after is None or (log.epoch != "" and after == (log.epoch, log.last))
        self.overflowed = False

    def put(self, item: Item) -> None:
        """Called by the listener. What a connection can still read from the log itself is not kept for it."""
        if isinstance(item, Message):
            if not self.live or item.number <= self._after[1]:
                return
            self._bytes += len(item.data)
        elif isinstance(item, Reset):
            if not self.live:
                return
            self._after = (self._log.epoch, 0)
        elif isinstance(item, Beat) and not self._beats:
            return
        self._items.append(item)
        if len(self._items) > QUEUE_MESSAGES or self._bytes > QUEUE_BYTES:
            self.overflowed = True
            self._items.clear()
        self._wake()

    async def take(self) -> AsyncIterator[Item]:
        """All that there is now, in order; raises SlowReader when the queue has overflowed."""
        while True:
            while self._items:
                item = self._items.popleft()
                if isinstance(item, Message):
                    self._bytes -= len(item.data)
                yield item
            if self.overflowed:
                raise SlowReader
            if self.live:
                return
            try:
                extract = await self._log.read(self._after[1] if self._after != BEGINNING else 0, BATCH)
            except Unavailable:
                return  # woken again when the bus is back
            for found in self._catch_up(extract):
                yield found
            if not extract.messages and not self.live:
                return  # the listener has not got this far

    def _catch_up(self, extract: Extract) -> list[Item]:
        """What the log says after our place; live, if that is as far as the listener has got."""
        found: list[Item] = []
        epoch, number = self._after
        if self._after == BEGINNING:
            number = 0
        ...
        return found
