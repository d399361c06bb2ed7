"""What comes twice, too early or too late: the numbers of one speaker, and the one order of all messages."""

from dataclasses import dataclass, field
from itertools import count

OLDEST = 1 << 40  # places before the first one
ORDER_KEPT = 50_000  # messages; older ones are in no connection's way any more

TWICE, ORDER = "the same message twice", "a message out of order"


@dataclass
class Heard:
    """The numbers that came from one speaker: all from the first to the last, but those that are missing."""

    first: int
    last: int
    missing: list[int] = field(default_factory=list)

    def add(self, number: int) -> str | None:
        """Take the next number; returns what is wrong with it."""
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
    """The one order of all messages, as the first listener that hears of each has it."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._next = count()
        self._next_old = count(-OLDEST)

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def place(self, key: str, *, old: bool = False) -> int:
        """Where a message stands; for one that is new the next place, or the next before all others if it is `old`."""
        if key not in self._places:
            self._places[key] = next(self._next_old if old else self._next)
            if len(self._places) > ORDER_KEPT:
                del self._places[next(iter(self._places))]
        return self._places[key]


order = Order()
