"""The messages sent and received: a message that is lost, doubled or out of order is a failure of the run.

Each speaker numbers its messages, so that every listener can detect duplicate and misordered messages by itself. Lost
messages are known once speakers and listeners have ended, and the records of all processes are merged.
"""

import re
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from itertools import count
from random import getrandbits
from typing import Any

from loadtest._order import OLDEST, ORDER, Heard, order

KEY = re.compile(r"([0-9a-f]{16})-(\d+)")
ALL = "0"  # the id before the first message: the server sends all kept messages
MARGIN_SECONDS = 1.0  # at both ends of a listener's life: messages sent then may or may not reach it


@dataclass
class TalkListener:
    """A client that must get every message sent while it is there, over any number of reconnects."""

    name: str  # of the request in locust's tables
    joined: float = 0.0  # seconds since the epoch, which the machines of a distributed run share
    left: float = 0.0
    heard: dict[str, Heard] = field(default_factory=dict)  # by speaker
    place: int = -OLDEST - 1  # of the last message, in the order of this process
    behind: bool = False  # whether the next messages may be older than all that this process has heard

    def resume(self) -> None:
        """Note that all kept messages come again; some may be older than all that this process has heard."""
        self.behind = not self.heard

    def join(self) -> None:
        """Count from now on; a second call, after a reconnect, changes nothing."""
        self.joined = self.joined or time.time()

    def hear(self, key: str) -> str | None:
        """Add a message by its key; return what is wrong with it, or None. Messages of other programs are ignored."""
        match = KEY.fullmatch(key)
        if match is None:
            return None
        speaker, number = match[1], int(match[2])
        known = self.heard.get(speaker)
        fault = known.add(number) if known else None
        if known is None:
            self.heard[speaker] = Heard(number, number)
        self.behind = self.behind and key not in order
        before, self.place = self.place, order.place(key, old=self.behind)
        return fault or (ORDER if self.place <= before else None)


@dataclass
class Speaker:
    """One user's messages: when each was sent, and when it came back."""

    name: str = field(default_factory=lambda: f"{getrandbits(64):016x}")
    confirmed: dict[int, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._numbers = count()

    def key(self) -> str:
        """Return the key of the next message."""
        return f"{self.name}-{next(self._numbers)}"

    def confirm(self, key: str, sent: float) -> None:
        """Note that the message with this key, sent at that time, has come back now."""
        self.confirmed[int(key.rpartition("-")[2])] = sent, time.time()


class Talk:
    """The messages sent and received in one process; on the master, in all processes."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.speakers: dict[str, dict[int, tuple[float, float]]] = {}
        self.listeners: list[TalkListener] = []

    def end(self, speaker: Speaker | None = None, listener: TalkListener | None = None) -> None:
        """Keep the messages of a user that ends."""
        if speaker is not None:
            self.speakers[speaker.name] = speaker.confirmed
        if listener is not None and listener.joined:
            listener.left = time.time()
            self.listeners.append(listener)

    def take(self) -> dict[str, Any]:
        """Return and clear the records since the last call, for the master."""
        news = {"speakers": self.speakers, "listeners": [asdict(listener) for listener in self.listeners]}
        self.clear()
        return news

    def merge(self, news: dict[str, Any]) -> None:
        """Add a worker's records."""
        for name, confirmed in news["speakers"].items():
            self.speakers[name] = {int(number): tuple(times) for number, times in confirmed.items()}
        for listener in news["listeners"]:
            heard = {speaker: Heard(**numbers) for speaker, numbers in listener["heard"].items()}
            self.listeners.append(TalkListener(**{**listener, "heard": heard}))

    def lost(self) -> Counter[str]:
        """Return the number of missing deliveries, by the listeners' name."""
        found: Counter[str] = Counter()
        for listener in self.listeners:
            begin, end = listener.joined + MARGIN_SECONDS, listener.left - MARGIN_SECONDS
            for speaker, confirmed in self.speakers.items():
                heard = listener.heard.get(speaker, Heard(0, -1))
                owed = (number for number, (sent, back) in confirmed.items() if sent >= begin and back <= end)
                found[listener.name] += sum(number not in heard for number in owed)
        return +found


talk = Talk()
