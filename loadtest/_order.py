"""Finds duplicate and misordered messages: by the numbers of one speaker, and by the common order of all messages."""

from dataclasses import dataclass, field
from itertools import count

OLDEST = 1 << 40  # room for places before the first one
ORDER_KEPT = 50_000  # messages; older ones no longer matter to any connection

TWICE, ORDER = "the same message twice", "a message out of order"


@dataclass
class Heard:
    """The numbers received from one speaker: all from the first to the last, except the missing ones."""

    first: int
    last: int
    missing: list[int] = field(default_factory=list)

    def add(self, number: int) -> str | None:
        """Add the next number; return what is wrong with it, or None."""
        if number > self.last:
            self.missing.extend(range(self.last + 1, number))
            self.last = number
            return None
        if number in self.missing:
            self.missing.remove(number)
            return ORDER
        return TWICE if number >= self.first else ORDER

    def __contains__(self, number: int) -> bool:
        return self.first <= number <= self.last and number not in self.missing


class Order:
    """The common order of all messages: that in which listeners of this process first receive them."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._next = count()
        self._next_old = count(-OLDEST)

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def place(self, key: str, *, old: bool = False) -> int:
        """Return a message's place; a new one gets the next place, or with `old` the next one before all others."""
        if key not in self._places:
            self._places[key] = next(self._next_old if old else self._next)
            if len(self._places) > ORDER_KEPT:
                del self._places[next(iter(self._places))]
        return self._places[key]


order = Order()
