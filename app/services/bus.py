"""The bus: an ordered log that every worker reads, and bounded queues that its connections read from.

A message gets its id and its place in the log when it is published. Each worker has one listener, which follows the log
and fills the queues; whoever was away reads the log from its last id on. Beats are not kept: they tell of the workers.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from random import uniform

from .errors import Unavailable

log = logging.getLogger("app.bus")

QUEUE_MESSAGES = 256  # what a connection may lag behind, whichever comes first; then it is closed, and resumes
QUEUE_BYTES = 256 * 1024
REPLAY_BATCH = 256  # messages that a resuming connection reads from the log at a time
RETRY_SECONDS = 2.0  # longest pause of the listener between two tries to reach a log that is away

Position = tuple[int, ...]  # what an id means; ids themselves are opaque to everyone but the back end
BEGINNING = "0"  # the id before all others: whoever resumes from it takes what is kept and has missed nothing


@dataclass(frozen=True, slots=True)
class Keep:
    """How much of the log is kept: at most so many messages, and none older than so many seconds."""

    messages: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Message:
    """A published JSON object; `position` orders it, `id` names it to clients."""

    id: str
    position: Position
    data: str

    def json(self) -> str:
        """The message's JSON object with its id in front."""
        return f'{{"id":"{self.id}",{self.data[1:]}'


@dataclass(frozen=True, slots=True)
class Beat:
    """What a worker says of itself every few seconds; not part of the log."""

    data: str


@dataclass(frozen=True, slots=True)
class Reset:
    """Messages after the id that was asked for are no longer kept."""


class SlowReader(Exception):
    """The connection lags behind by more than its queue holds."""


Item = Message | Beat | Reset


class Queue:
    """What one connection has not read yet, bounded by count and size."""

    def __init__(self) -> None:
        self._items: deque[Message | Beat] = deque()
        self._bytes = 0
        self._overflowed = False
        self._filled = asyncio.Event()

    def put(self, item: Message | Beat) -> None:
        self._bytes += len(item.data)
        if len(self._items) >= QUEUE_MESSAGES or self._bytes > QUEUE_BYTES:
            self._overflowed = True
            self._items.clear()
        if not self._overflowed:
            self._items.append(item)
        self._filled.set()

    async def get(self) -> Message | Beat:
        """The next item; raises SlowReader when the queue has overflowed."""
        while not self._items:
            if self._overflowed:
                raise SlowReader
            self._filled.clear()
            await self._filled.wait()
        item = self._items.popleft()
        self._bytes -= len(item.data)
        return item


class Bus(ABC):
    """What both back ends share: the listener, the queues, replay and reset."""

    def __init__(self) -> None:
        self._queues: set[Queue] = set()
        self._listening: asyncio.Task[None] | None = None
        self._last: Position = ()
        self.available = False

    @abstractmethod
    def parse(self, text: str) -> Position:
        """What an id means; raises BadCursor for a text that is none."""

    @abstractmethod
    async def publish(self, data: str) -> str:
        """Append to the log and wake all workers; return the id. Raises Unavailable."""

    @abstractmethod
    async def beat(self, data: str) -> None:
        """Tell all workers; lost while the bus is away."""

    @abstractmethod
    async def _kept(self) -> tuple[Position, Position]:
        """The positions of the newest message that is no longer kept and of the newest of all."""

    @abstractmethod
    async def _read(self, after: Position, limit: int) -> list[Message]:
        """Messages after a position, oldest first."""

    @abstractmethod
    async def _news(self, after: Position) -> list[Message | Beat]:
        """Wait until there is something after the position, and return it in order."""

    @abstractmethod
    async def _close(self) -> None: ...

    async def start(self) -> None:
        """Begin to listen; a log that is away is no reason to fail, only not to be ready."""
        with suppress(Unavailable):
            self._last = (await self._kept())[1]
            self.available = True
        self._listening = asyncio.create_task(self._listen())

    async def stop(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening
        await self._close()

    async def _listen(self) -> None:
        pause = 0.05
        while True:
            try:
                if not self._last:
                    self._last = (await self._kept())[1]
                for item in await self._news(self._last):
                    if isinstance(item, Message):
                        self._last = item.position
                    for queue in self._queues:
                        queue.put(item)
                self.available, pause = True, 0.05
            except Unavailable as error:
                if self.available:
                    log.warning("the bus is away: %s", error)
                self.available = False
                await asyncio.sleep(uniform(pause / 2, pause))
                pause = min(pause * 2, RETRY_SECONDS)

    @asynccontextmanager
    async def subscribe(self, after: str | None = None) -> AsyncIterator[AsyncIterator[Item]]:
        """Yield what comes, in order, without gap or double; first what was missed since the id `after`, or a Reset.

        Raises BadCursor for an id that is none, and SlowReader while iterating when the queue has overflowed.
        """
        position = None if after is None else self.parse(after)
        queue = Queue()
        self._queues.add(queue)
        try:
            yield self._items(queue, position, self._last)
        finally:
            self._queues.discard(queue)

    async def _items(self, queue: Queue, after: Position | None, horizon: Position) -> AsyncIterator[Item]:
        # The queue gets all that lies beyond the horizon, so the log is read up to it and no further.
        if after is not None:
            if not horizon:
                raise Unavailable("the bus is not available: it has not been reached yet")
            forgotten, newest = await self._kept()
            if after > newest:
                yield Reset()
                after = horizon
            elif after < forgotten and after != self.parse(BEGINNING):
                yield Reset()
                after = forgotten
            while after < horizon:
                batch = [message for message in await self._read(after, REPLAY_BATCH) if message.position <= horizon]
                for message in batch:
                    yield message
                after = batch[-1].position if batch else horizon
        while True:
            item = await queue.get()
            # Another worker may have shown the client more than this one's listener has read when it subscribed.
            if after is None or not isinstance(item, Message) or item.position > after:
                yield item
