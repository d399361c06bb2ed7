"""The items that the bus carries, and the ids from which clients resume."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from .errors import BadCursor

MIB = 1 << 20
LONGEST = 256 * 1024  # characters of a message; a connection's queue holds at most as much in total
BEGINNING = ("", 0)  # the place of the id "0": a client that resumes there gets all kept messages, no Reset
ID = re.compile(r"([0-9a-z]{1,32})-([0-9]{1,18})")

Place = tuple[str, int]  # an epoch and a number in it


def parse_id(text: str) -> Place:
    """Return the place that an id names; raises BadCursor for an invalid id."""
    if text == "0":
        return BEGINNING
    match = ID.fullmatch(text)
    if match is None:
        raise BadCursor(text)
    return match[1], int(match[2])


@dataclass(frozen=True, slots=True)
class Retention:
    """How much of the log is kept: number of messages, their age in seconds, and bytes including overhead."""

    messages: int
    seconds: float
    size: int = 64 * MIB


class Message:
    """A published JSON object; all connections of a worker share one instance.

    Other programs may have written other data into the log. Such an entry keeps its number, since a missing number is
    a gap, but is not passed on to clients: its `json` is empty.
    """

    __slots__ = ("data", "id", "json", "number")

    def __init__(self, epoch: str, number: int, data: object) -> None:
        self.number = number
        self.id = f"{epoch}-{number}"
        self.data = data if isinstance(data, str) and _is_object(data) else ""
        self.json = f'{{"id":"{self.id}",{self.data[1:]}' if self.data else ""  # the object with its id in front


@dataclass(frozen=True, slots=True)
class Beat:
    """A worker's status report, sent every few seconds; not part of the log."""

    data: str


@dataclass(frozen=True, slots=True)
class Reset:
    """Messages after the last one that the connection has seen are no longer kept."""


@dataclass(frozen=True, slots=True)
class Availability:
    """The bus has gone away, or is back."""

    available: bool


Item = Message | Beat | Reset | Availability


@dataclass(frozen=True, slots=True)
class Extract:
    """A part of the log: its epoch, the epoch's first number, the log's newest number, and some messages in order."""

    epoch: str
    start: int
    newest: int
    messages: Sequence[Message]
    forked: bool = False  # a known message has been replaced: the log's store lost its end and went on

    def has_gap(self, after: int) -> bool:
        """Whether messages after this number are no longer kept. Numbers have no holes."""
        following = self.messages[0].number if self.messages else self.newest + 1
        return following > after + 1


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_decode = json.JSONDecoder(parse_constant=_refuse).decode


def _is_object(data: str) -> bool:
    """Return whether the data is a JSON object into which an id can be inserted."""
    if not data.startswith("{") or len(data) > LONGEST:
        return False
    try:
        value = _decode(data)
    except (ValueError, RecursionError):
        return False
    return bool(value) and "id" not in value
