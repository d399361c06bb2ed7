"""The bus: an ordered log that all workers share, and each worker's one listener, which feeds its connections.

A message gets its number and its place in the log when it is published. A connection first reads the log from its last
id on until it has caught up with the listener, and is fed from then on. A log that has lost what clients have seen gets
a new epoch, which is part of every id, so that a gap is always an explicit reset and never silence.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from random import uniform

from .errors import Full, Unavailable
from .items import Availability, Beat, Extract, Item, Message, Reset, Retention, parse_id
from .subscription import BATCH, SlowReader, Subscription

__all__ = [
    "Availability",
    "Beat",
    "Bus",
    "Extract",
    "Item",
    "Message",
    "Reset",
    "Retention",
    "SlowReader",
    "Subscription",
]

log = logging.getLogger("app.bus")

ANSWER_SECONDS = 1.8  # a publisher has an answer within two seconds, also when the bus is away
RETRY_SECONDS = (0.05, 1.0)  # first and longest pause of the listener between two tries to reach a log that is away
CANCELLATIONS = 10  # redis-py may lose one


class Bus(ABC):
    """What both back ends share: the listener, the connections, and what is said while the log is away."""

    parse = staticmethod(parse_id)

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()
        self._listening: asyncio.Task[None] | None = None
        self._reads = self._writes = False  # whether the last read and the last write succeeded
        self._full = False  # whether the last failure said that there is no room
        self._unreadable = 0  # messages of another shape, since the start
        self.epoch = ""  # empty until the log has been reached for the first time
        self.last = 0  # the number of the last message that the listener has passed on

    @abstractmethod
    async def append(self, data: str, key: str) -> tuple[str, int]:
        """Put a JSON object at the end of the log and wake all workers; return its epoch and number.

        If there is one with the same key (not empty) it stays the only one.
        """

    @abstractmethod
    async def tell(self, data: str) -> None:
        """Pass a beat on to all workers, and write: a log that takes nothing is noticed without messages, too."""

    @abstractmethod
    async def read(self, after: int, limit: int) -> Extract:
        """Messages after a number, oldest first."""

    @abstractmethod
    async def news(self, after: int, limit: int) -> tuple[Extract, Sequence[Beat]]:
        """The same, but wait a second for something new; and the beats that came meanwhile."""

    @abstractmethod
    async def renew(self, epoch: str) -> None:
        """Begin a new epoch, unless the log has another one than `epoch` by now."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of files and connections."""

    @property
    def available(self) -> bool:
        """Whether the log can be read and written."""
        return self._reads and self._writes

    @property
    def readable(self) -> bool:
        """Whether the log can be read."""
        return self._reads

    @property
    def full(self) -> bool:
        """Whether the log is there and has no room for more."""
        return self._full and not self.available

    async def start(self) -> None:
        """Begin to listen; a log that is away is no reason to fail, only not to be ready."""
        try:
            self._take(await self.read(0, 0))
            self._reads = self._writes = True
        except Unavailable as error:
            self._full = isinstance(error, Full)
        self._listening = asyncio.create_task(self._listen())

    async def stop(self) -> None:
        for _ in range(CANCELLATIONS):
            if self._listening is None or self._listening.done():
                break
            self._listening.cancel()
            await asyncio.wait({self._listening}, timeout=0.1)
        await self.close()

    async def publish(self, data: str, key: str = "") -> str:
        """Append to the log and wake all workers; return the id. Raises Unavailable, within two seconds.

        A message that may not have arrived can be sent again with the same key: it is kept once.
        """
        async with self._writing():
            epoch, number = await self.append(data, key)
        return f"{epoch}-{number}"

    async def beat(self, data: str) -> None:
        """Tell all workers; not part of the log, and lost while the bus is away."""
        async with self._writing():
            await self.tell(data)

    def attach(self, after: str | None, wake: Callable[[], None], *, beats: bool = False) -> Subscription:
        """A connection's place: from `after` on, or new messages only. `detach` it in the end.

        `wake` is called when there is something to take. Raises BadCursor for an id that is none.
        """
        subscription = Subscription(self, None if after is None else parse_id(after), wake, beats=beats)
        self._subscriptions.add(subscription)
        if not self.available:
            subscription.put(Availability(False))
        elif not subscription.live:
            wake()
        return subscription

    def detach(self, subscription: Subscription) -> None:
        self._subscriptions.discard(subscription)
        subscription.close()

    @asynccontextmanager
    async def subscribe(self, after: str | None = None, *, beats: bool = True) -> AsyncIterator[AsyncIterator[Item]]:
        """Yield what comes, in order, without gap or double; first what was missed since the id `after`, or a Reset.

        Raises BadCursor for an id that is none, and SlowReader while iterating when the queue has overflowed.
        """
        filled = asyncio.Event()
        subscription = self.attach(after, filled.set, beats=beats)
        try:
            yield _items(subscription, filled)
        finally:
            self.detach(subscription)

    async def _listen(self) -> None:
        pause, longest = RETRY_SECONDS
        while True:
            try:
                extract, beats = await self.news(self.last, BATCH)
                if extract.epoch == self.epoch and (extract.forked or extract.newest < self.last):
                    await self.renew(self.epoch)  # the log's store came back, or was replaced, without its end
                    continue
                self._take(extract)
                for beat in beats:
                    self._put(beat)
                self._note(reads=True)
                pause = RETRY_SECONDS[0]
                await asyncio.sleep(0)  # the connections write before the next batch comes
                continue
            except Unavailable as error:
                self._note(reads=False, error=error)
            except Exception:
                log.exception("the listener failed and goes on")
            await asyncio.sleep(uniform(pause / 2, pause))
            pause = min(pause * 2, longest)

    def _take(self, extract: Extract) -> None:
        """Pass the next messages on; a gap before them, or a new epoch, is said first."""
        if extract.epoch != self.epoch:
            known, self.epoch = bool(self.epoch), extract.epoch
            # Of a new log everything is news; a worker that has just started begins at its end.
            self.last = extract.start - 1 if known else extract.newest
            if known:
                log.warning("the log has begun a new epoch")
                self._put(Reset())
            return
        for message in extract.messages:
            if message.number > self.last + 1:
                self._put(Reset())
            self.last = message.number
            if message.json:
                self._put(message)
            else:
                self._pass_over(message)
        if not extract.messages and extract.has_gap(self.last):
            self._put(Reset())
            self.last = extract.newest

    def _pass_over(self, message: Message) -> None:
        self._unreadable += 1
        if self._unreadable == 1:
            log.warning("the message %s has another shape and is passed over, as will be others", message.id)

    def _put(self, item: Item) -> None:
        for subscription in list(self._subscriptions):
            subscription.put(item)

    def _note(self, *, reads: bool | None = None, writes: bool | None = None, error: Exception | None = None) -> None:
        """Tell the connections when the bus goes away or is back."""
        available, readable = self.available, self.readable
        self._reads = self._reads if reads is None else reads
        self._writes = self._writes if writes is None else writes
        if error is not None:
            self._full = isinstance(error, Full)
        if self.available != available:
            log.warning(
                "the bus is back" if self.available else f"the bus is {'full' if self.full else 'away'}: {error}"
            )
            self._put(Availability(self.available))
        if self.readable and not readable:
            for subscription in list(self._subscriptions):
                subscription.catch_up()

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                yield
        except Unavailable as error:
            self._note(writes=False, error=error)
            raise
        except TimeoutError:
            silence = Unavailable("the bus does not answer")
            self._note(writes=False, error=silence)
            raise silence from None
        self._note(writes=True)


async def _items(subscription: Subscription, filled: asyncio.Event) -> AsyncIterator[Item]:
    while True:
        filled.clear()
        async for item in subscription.take():
            yield item
        await filled.wait()
