"""What goes over the bus, and the ids by which clients resume."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .errors import BadCursor

BEGINNING = ("", 0)  # what "0" means: whoever resumes from it takes what is kept and has missed nothing
ID = re.compile(r"([0-9a-z]{1,32})-([0-9]{1,18})")

Place = tuple[str, int]  # an epoch and a number in it


def parse_id(text: str) -> Place:
    """The place that an id names; raises BadCursor for a text that is none."""
    if text == "0":
        return BEGINNING
    match = ID.fullmatch(text)
    if match is None:
        raise BadCursor(text)
    return match[1], int(match[2])


@dataclass(frozen=True, slots=True)
class Keep:
    """How much of the log is kept: at most so many messages, and none older than so many seconds."""

    messages: int
    seconds: float


class Message:
    """A published JSON object; one is shared by all connections of a worker."""

    __slots__ = ("data", "id", "json", "number")

    def __init__(self, epoch: str, number: int, data: str) -> None:
        self.number = number
        self.id = f"{epoch}-{number}"
        self.data = data
        self.json = f'{{"id":"{self.id}",{data[1:]}'  # the object with its id in front


@dataclass(frozen=True, slots=True)
class Beat:
    """What a worker says of itself every few seconds; not part of the log."""

    data: str


@dataclass(frozen=True, slots=True)
class Reset:
    """Messages that came after what the connection has seen are no longer kept."""


@dataclass(frozen=True, slots=True)
class Availability:
    """The bus has gone away, or is back."""

    available: bool


Item = Message | Beat | Reset | Availability


@dataclass(frozen=True, slots=True)
class Extract:
    """A part of the log: its epoch, the first number of that epoch, the newest of all, and some messages in order."""

    epoch: str
    start: int
    newest: int
    messages: Sequence[Message]

    def has_gap(self, after: int) -> bool:
        """Whether messages after this number are no longer kept. Numbers have no holes."""
        following = self.messages[0].number if self.messages else self.newest + 1
        return following > after + 1
