"""The log as a returning client gets it: messages in order, and a Reset where some are missing."""

from .items import BEGINNING, Extract, Item, Place, Reset


def replay(extract: Extract, after: Place) -> tuple[list[Item], Place]:
    """Return the items for a client at a place in the log, from an extract read after it, and its new place."""
    epoch, number = after
    if after != BEGINNING and (epoch != extract.epoch or number > extract.newest):
        return [Reset()], BEGINNING  # an id of a lost log: all kept messages are new
    items: list[Item] = []
    if not extract.messages and after != BEGINNING and extract.has_gap(number):
        items.append(Reset())
    for message in extract.messages:
        if after != BEGINNING and message.number > after[1] + 1:
            items.append(Reset())
        after = (extract.epoch, message.number)
        if message.json:
            items.append(message)
    if not extract.messages:
        after = (extract.epoch, extract.newest)  # not the listener's place, which may be further by now
    return items, after
