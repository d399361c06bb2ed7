"""What a worker's listener has read of the log goes to the connections of the worker."""

import logging

from .items import Extract, Item, Message, Reset
from .subscription import Subscription

log = logging.getLogger("app.bus")


class Feed:
    """The subscriptions of a worker, and how far they have been fed."""

    def __init__(self) -> None:
        self.subscriptions: set[Subscription] = set()
        self.epoch = ""  # empty until the log has been reached for the first time
        self.last = 0  # the number of the last message that was passed on
        self._unreadable = 0  # messages of another shape, since the start

    def pass_on(self, extract: Extract) -> None:
        """Pass the next messages on; a gap before them, or a new epoch, is said first."""
        if extract.epoch != self.epoch:
            known, self.epoch = bool(self.epoch), extract.epoch
            # Of a new log everything is news; a worker that has just started begins at its end.
            self.last = extract.start - 1 if known else extract.newest
            if known:
                log.warning("the log has begun a new epoch")
                self.put(Reset())
            return
        for message in extract.messages:
            if message.number > self.last + 1:
                self.put(Reset())
            self.last = message.number
            if message.json:
                self.put(message)
            else:
                self._pass_over(message)
        if not extract.messages and extract.has_gap(self.last):
            self.put(Reset())
            self.last = extract.newest

    def _pass_over(self, message: Message) -> None:
        self._unreadable += 1
        if self._unreadable == 1:
            log.warning("the message %s has another shape and is passed over, as will be others", message.id)

    def put(self, item: Item) -> None:
        """Give something to all connections."""
        for subscription in list(self.subscriptions):
            subscription.put(item)

    def catch_up(self) -> None:
        """The log can be read again by those that were behind."""
        for subscription in list(self.subscriptions):
            subscription.catch_up()
