"""A worker's listener: reads the log continuously, feeds the connections, and tells them when the log is away."""

import asyncio
import logging
from random import uniform

from .errors import Unavailable
from .feed import Feed
from .items import Availability
from .log_health import LogHealth
from .shared_log import SharedLog
from .subscription import BATCH

log = logging.getLogger("app.bus")

RETRY_SECONDS = (0.05, 1.0)  # first and longest pause between attempts to reach a log that is away
CANCELLATIONS = 10  # attempts; redis-py may swallow one


class LogListener:
    """Reads the log from the last message on that the feed has passed on."""

    def __init__(self, shared: SharedLog, feed: Feed, health: LogHealth) -> None:
        self._shared = shared
        self._feed = feed
        self._health = health
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Find the log's end, if the log can be reached, and listen from there on."""
        try:
            self._feed.pass_on(await self._shared.read(0, 0))
            self._health.succeeded(reads=True, writes=True)
        except Unavailable as error:
            self._health.failed(error, reads=True, writes=True)
        self.task = asyncio.create_task(self._listen())

    async def stop(self) -> None:
        for _ in range(CANCELLATIONS):
            if self.task is None or self.task.done():
                break
            self.task.cancel()
            await asyncio.wait({self.task}, timeout=0.1)

    def succeeded(self, *, reads: bool = False, writes: bool = False) -> None:
        """Note a successful read or write; tell the connections if the log is back."""
        before = self._health.available, self._health.reads
        self._health.succeeded(reads=reads, writes=writes)
        if self._health.available and not before[0]:
            log.warning("the bus is back")
            self._feed.put(Availability(True))
        if self._health.reads and not before[1]:
            self._feed.catch_up()

    def failed(self, error: Exception, *, reads: bool = False, writes: bool = False) -> None:
        """Note a failed read or write; tell the connections if the log has gone away."""
        before = self._health.available
        self._health.failed(error, reads=reads, writes=writes)
        if before:
            log.warning("the bus is %s: %s", "full" if self._health.full else "away", error)
            self._feed.put(Availability(False))

    async def _listen(self) -> None:
        pause, longest = RETRY_SECONDS
        feed = self._feed
        while True:
            try:
                extract, beats = await self._shared.news(feed.last, BATCH)
                if extract and extract.epoch == feed.epoch and (extract.forked or extract.newest < feed.last):
                    await self._shared.renew(feed.epoch)  # the store came back, or was replaced, without the log's end
                    continue
                if extract:
                    feed.pass_on(extract)
                    self.succeeded(reads=True)
                    pause = RETRY_SECONDS[0]
                for beat in beats:
                    feed.put(beat)
                await asyncio.sleep(0)  # lets the connections write before the next batch
                continue
            except Unavailable as error:
                self.failed(error, reads=True)
            except Exception:
                log.exception("the listener failed and goes on")
            await asyncio.sleep(uniform(pause / 2, pause))
            pause = min(pause * 2, longest)
