"""A user's messages that have not come back yet."""

import time
from dataclasses import dataclass, field

from gevent.event import Event  # type: ignore[import-untyped]

from loadtest._socket import TIMEOUT_SECONDS

NOT_DELIVERED = f"not delivered in {TIMEOUT_SECONDS:g} s"


@dataclass
class Said:
    """A message, when it was due, and when it was sent: `began` on this process's clock, `at` on the wall clock."""

    intended: float
    text: str
    began: float = field(default_factory=time.perf_counter)
    at: float = field(default_factory=time.time)


class Waiting:
    """Messages by key, in the order in which they were sent."""

    def __init__(self) -> None:
        self._messages: dict[str, Said] = {}
        self._none = Event()
        self._none.set()

    def __contains__(self, key: str) -> bool:
        return key in self._messages

    def add(self, key: str, said: Said) -> None:
        self._messages[key] = said
        self._none.clear()

    def back(self, key: str) -> Said | None:
        """Remove and return a message that is settled; None if it is not here."""
        said = self._messages.pop(key, None)
        if not self._messages:
            self._none.set()
        return said

    def oldest(self) -> str:
        """Return the key of the message that was sent first, empty without any."""
        return next(iter(self._messages), "")

    def texts(self) -> list[str]:
        """Return the texts of all messages, to be sent again."""
        return [said.text for said in self._messages.values()]

    def overdue(self) -> list[Said]:
        """Remove and return the messages that have waited for longer than TIMEOUT_SECONDS."""
        since = time.perf_counter() - TIMEOUT_SECONDS
        return self._take([key for key, said in self._messages.items() if said.began < since])

    def settle(self) -> list[Said]:
        """Wait until all messages are back or too late; remove and return the rest."""
        last = max((said.began for said in self._messages.values()), default=0.0)
        self._none.wait(max(0.0, last + TIMEOUT_SECONDS - time.perf_counter()))
        return self._take(list(self._messages))

    def _take(self, keys: list[str]) -> list[Said]:
        return [said for key in keys if (said := self.back(key))]
