"""What goes over the bus, and the ids by which clients resume."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from .errors import BadCursor

MIB = 1 << 20
LONGEST = 256 * 1024  # characters of a message: a queue of messages holds no more than that in all
BEGINNING = ("", 0)  # what "0" means: a client that resumes from it gets what is kept, and has missed nothing
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
class Retention:
    """How much of the log is kept: the most messages, their greatest age, and the most bytes with all overhead."""

    messages: int
    seconds: float
    size: int = 64 * MIB


class Message:
    """A published JSON object; one is shared by all connections of a worker.

    Other programs may have written something else into the log. It keeps its number, since a hole would be a gap, and
    is passed on to no client: its `json` is empty.
    """

    __slots__ = ("data", "id", "json", "number")

    def __init__(self, epoch: str, number: int, data: object) -> None:
        self.number = number
        self.id = f"{epoch}-{number}"
        self.data = data if isinstance(data, str) and _is_object(data) else ""
        self.json = f'{{"id":"{self.id}",{self.data[1:]}' if self.data else ""  # the object with its id in front


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
    forked: bool = False  # the message after which was read is another one by now: its store lost the end and went on

    def has_gap(self, after: int) -> bool:
        """Whether messages after this number are no longer kept. Numbers have no holes."""
        following = self.messages[0].number if self.messages else self.newest + 1
        return following > after + 1


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_decode = json.JSONDecoder(parse_constant=_refuse).decode


def _is_object(data: str) -> bool:
    """Whether an id can be put in front of it."""
    if not data.startswith("{") or len(data) > LONGEST:
        return False
    try:
        value = _decode(data)
    except (ValueError, RecursionError):
        return False
    return bool(value) and "id" not in value
