"""The bounded queue of items that a connection has not read yet."""

from collections import deque

from .items import Item, Message

QUEUE_MESSAGES = 256  # a connection that lags behind by more than this, or by QUEUE_CHARACTERS, is closed; it resumes
QUEUE_CHARACTERS = 256 * 1024  # whose number a str knows, unlike that of its bytes, up to four times as many


class Backlog:
    """One connection's queue. It exists only while it holds items, since most connections are idle."""

    __slots__ = ("_characters", "_items")

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._characters = 0  # of the messages

    def __len__(self) -> int:
        return len(self._items)

    @property
    def is_too_long(self) -> bool:
        return len(self._items) > QUEUE_MESSAGES or self._characters > QUEUE_CHARACTERS

    def put(self, item: Item) -> None:
        self._items.append(item)
        if isinstance(item, Message):
            self._characters += len(item.data)

    def next(self) -> Item:
        """Remove the oldest item and return it."""
        item = self._items.popleft()
        if isinstance(item, Message):
            self._characters -= len(item.data)
        return item
