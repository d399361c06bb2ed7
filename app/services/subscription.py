"""One connection's place in the log, and the bounded queue of its unread items."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from random import uniform

from .backlog import Backlog
from .errors import SlowReader, Unavailable
from .items import BEGINNING, Availability, Beat, Extract, Item, Message, Place, Reset
from .replay import replay
from .shared_log import Log

log = logging.getLogger("app.bus")

BATCH = 64  # messages per read of the log
AGAIN_SECONDS = (0.2, 0.5)  # before a failed read is tried again, a random time in between
TELL_SECONDS = 0.7  # a client is told that the bus is away when a read takes longer, or fails twice
READ_SECONDS = 5.0  # a read that takes longer has failed


class Subscription:
    """Reads the log until it has caught up with the worker's listener; then it is live, and receives pushes."""

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
        self._now = now  # returns whether it has taken the message
        self._beats = beats
        self._backlog: Backlog | None = None  # an empty one takes 0.7 KiB, and most connections are idle
        self._after = here if after is None else after
        self._again: asyncio.TimerHandle | None = None
        self._failures = 0  # consecutive failed reads
        self._told = True  # whether the bus is available, as the client was last told
        self.live = after is None or (after == here and after != BEGINNING)
        self.overflowed = False

    def put(self, item: Item) -> None:
        """Take an item from the listener. Messages that the connection will read from the log itself are not queued."""
        if self.overflowed or (isinstance(item, Beat) and not self._beats):
            return
        if self.live and isinstance(item, Message):
            if item.number <= self._after[1]:
                return  # the connection has read further than the listener
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
        """Wake the connection if it is behind; called when the log can be read again."""
        if not self.live:
            self._wake()

    def close(self) -> None:
        """Cancel a pending retry."""
        if self._again is not None:
            self._again.cancel()

    async def take(self) -> AsyncIterator[Item]:
        """Yield all items available now, in order; raise SlowReader when the queue has overflowed."""
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
        """Yield items without end; `filled` is the event that `wake` sets."""
        while True:
            filled.clear()
            async for item in self.take():
                yield item
            await filled.wait()

    def _is_news(self, available: bool) -> bool:
        told, self._told = self._told, available
        return available is not told

    async def _read(self) -> AsyncIterator[Item]:
        """Yield items from the log after our place. On failure, schedule a retry and tell a waiting client."""
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
        if self._after != BEGINNING:  # live once it is as far as the listener
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
        """Schedule a retry; while the log can't be read at all, the bus calls `catch_up` instead."""
        self._failures += 1
        if self._log.readable:
            self.close()
            self._again = asyncio.get_running_loop().call_later(uniform(*AGAIN_SECONDS), self._wake)
