"""What a client that was away is told of the log: messages in order, and a reset where something is missing."""

from .items import BEGINNING, Extract, Item, Place, Reset


def replay(extract: Extract, after: Place) -> tuple[list[Item], Place]:
    """What an extract of the log, read after a place, says to the client there; and the client's new place."""
    epoch, number = after
    if after != BEGINNING and (epoch != extract.epoch or number > extract.newest):
        return [Reset()], BEGINNING  # an id of a log that is no more: all that is kept is news
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
        after = (extract.epoch, extract.newest)  # the listener may have passed on more since the log was read
    return items, after
