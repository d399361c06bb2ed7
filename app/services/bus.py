"""The bus: an ordered log that all workers share, and each worker's one listener, which feeds its connections.

A message gets its number and its place in the log when it is published. A connection first reads the log from its last
id on until it has caught up with the listener, and is fed from then on. A log that has lost what clients have seen gets
a new epoch, which is part of every id, so that a gap is always an explicit reset and never silence.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from .errors import Unavailable
from .feed import Feed
from .items import Availability, Beat, Extract, Item, Message, Reset, Retention, parse_id
from .log_health import LogHealth
from .log_listener import LogListener
from .shared_log import SharedLog
from .subscription import SlowReader, Subscription

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

ANSWER_SECONDS = 1.8  # a publisher has an answer within two seconds, also when the bus is away


class Bus(SharedLog):
    """What both back ends share: publishing, and a place in the log for each connection."""

    parse = staticmethod(parse_id)

    def __init__(self) -> None:
        self._feed = Feed()
        self._health = LogHealth()
        self._listener = LogListener(self, self._feed, self._health)

    @property
    def epoch(self) -> str:
        """The log's; empty until the log has been reached for the first time."""
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
        """Whether the log is there and has no room for more."""
        return self._health.full

    async def start(self) -> None:
        """Begin to listen; a log that is away is no reason to fail, only not to be ready."""
        await self._listener.start()

    async def stop(self) -> None:
        await self._listener.stop()
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

    def attach(
        self,
        after: str | None,
        wake: Callable[[], None],
        *,
        beats: bool = False,
        now: Callable[[Message], bool] | None = None,
    ) -> Subscription:
        """A connection's place: from `after` on, or new messages only. `detach` it in the end.

        `wake` is called when there is something to take; a message that comes when there is nothing else is offered to
        `now` first, which says whether it has taken it. Raises BadCursor for an id that is none.
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
        """Yield what comes, in order, without gap or double; first what was missed since the id `after`, or a Reset.

        Raises BadCursor for an id that is none, and SlowReader while iterating when the queue has overflowed.
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
