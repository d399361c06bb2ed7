"""The bus: an ordered log that all workers share. Each worker has one listener, which feeds the worker's connections.

A message gets its number and its place in the log when it is published. A connection reads the log from its last id on
until it has caught up with the listener, then receives pushes. A log that has lost messages which clients have seen
begins a new epoch. The epoch is part of every id, so that a client never misses messages without an explicit reset.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from .errors import SlowReader, Unavailable
from .feed import Feed
from .items import Availability, Beat, Extract, Item, Message, Reset, Retention, parse_id
from .log_health import LogHealth
from .log_listener import LogListener
from .shared_log import SharedLog
from .subscription import Subscription

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

ANSWER_SECONDS = 1.8  # a publisher has an answer within two seconds, even when the bus is away


class Bus(SharedLog):
    """The part that both back ends share: publishing, and each connection's subscription."""

    parse = staticmethod(parse_id)

    def __init__(self) -> None:
        self._feed = Feed()
        self._health = LogHealth()
        self._listener = LogListener(self, self._feed, self._health)

    @property
    def epoch(self) -> str:
        """The log's epoch; empty until the log has been reached for the first time."""
        return self._feed.epoch

    @property
    def last(self) -> int:
        """The number of the last message that the listener has passed on."""
        return self._feed.last

    @property
    def available(self) -> bool:
        """Whether the log can be read and written."""
        return self._health.available

    @property
    def readable(self) -> bool:
        """Whether the log can be read."""
        return self._health.reads

    @property
    def full(self) -> bool:
        """Whether the log answers but has no room for more messages."""
        return self._health.full

    async def start(self) -> None:
        """Start listening; if the log is away, this does not raise, and the worker is not ready."""
        await self._listener.start()

    async def stop(self) -> None:
        await self._listener.stop()
        await self.close()

    async def publish(self, data: str, key: str = "") -> str:
        """Append to the log and wake all workers; return the id. Raises Unavailable, within two seconds.

        A message that may not have arrived can be published again with the same key: the log keeps it once.
        """
        async with self._writing():
            epoch, number = await self.append(data, key)
        return f"{epoch}-{number}"

    async def beat(self, data: str) -> None:
        """Send a beat to all workers; it is not part of the log, and is lost while the bus is away."""
        async with self._writing():
            await self.tell(data)

    def attach(
        self,
        after: str | None,
        wake: Callable[[], None],
        *,
        beats: bool = False,
        now: Callable[[Message], bool] | None = None,
    ) -> Subscription:
        """Subscribe a connection to the messages after the id `after`, or to new ones only; call `detach` at its end.

        `wake` is called when there are items to take. A message that comes while none wait is offered to `now` first,
        which returns whether it has taken the message. Raises BadCursor for an invalid id.
        """
        subscription = Subscription(self, None if after is None else parse_id(after), wake, beats=beats, now=now)
        self._feed.subscriptions.add(subscription)
        if not self.available:
            subscription.put(Availability(False))
        elif not subscription.live:
            wake()
        return subscription

    def detach(self, subscription: Subscription) -> None:
        self._feed.subscriptions.discard(subscription)
        subscription.close()

    @asynccontextmanager
    async def subscribe(self, after: str | None = None, *, beats: bool = True) -> AsyncIterator[AsyncIterator[Item]]:
        """Yield an iterator of messages in order, each exactly once: first those after the id `after`, then new ones.

        A Reset stands for messages no longer kept. Raises BadCursor for an invalid id; iterating may raise SlowReader.
        """
        filled = asyncio.Event()
        subscription = self.attach(after, filled.set, beats=beats)
        try:
            yield subscription.follow(filled)
        finally:
            self.detach(subscription)

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                yield
        except Unavailable as error:
            self._listener.failed(error, writes=True)
            raise
        except TimeoutError:
            silence = Unavailable("the bus does not answer")
            self._listener.failed(silence, writes=True)
            raise silence from None
        self._listener.succeeded(writes=True)
