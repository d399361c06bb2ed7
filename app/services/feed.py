"""Passes the messages that a worker's listener has read on to the worker's connections."""

import logging

from .items import Extract, Item, Message, Reset
from .subscription import Subscription

log = logging.getLogger("app.bus")


class Feed:
    """The subscriptions of a worker, and the place up to which messages have been passed on to them."""

    def __init__(self) -> None:
        self.subscriptions: set[Subscription] = set()
        self.epoch = ""  # empty until the log has been reached for the first time
        self.last = 0  # the number of the last message that was passed on
        self._unreadable = 0  # messages in an unknown format, since the start

    def pass_on(self, extract: Extract) -> None:
        """Pass the next messages on, after a Reset if there is a gap before them or a new epoch."""
        if extract.epoch != self.epoch:
            known, self.epoch = bool(self.epoch), extract.epoch
            # All of a renewed log is new; a worker that has just started begins at the log's end.
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
        """Give an item to all subscriptions."""
        for subscription in list(self.subscriptions):
            subscription.put(item)

    def catch_up(self) -> None:
        """Tell the subscriptions that are behind that the log can be read again."""
        for subscription in list(self.subscriptions):
            subscription.catch_up()
