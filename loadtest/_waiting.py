"""What a user has said and not heard back yet."""

import time
from dataclasses import dataclass, field

from gevent.event import Event  # type: ignore[import-untyped]

from loadtest._socket import TIMEOUT_SECONDS

NOT_DELIVERED = f"not delivered in {TIMEOUT_SECONDS:g} s"


@dataclass
class Said:
    """A message, when it was due, and when it was said: on this process's clock and on the one that machines share."""

    intended: float
    text: str
    began: float = field(default_factory=time.perf_counter)
    at: float = field(default_factory=time.time)


class Waiting:
    """Messages by key, in the order in which they were said."""

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
        """Take out a message that is settled."""
        said = self._messages.pop(key, None)
        if not self._messages:
            self._none.set()
        return said

    def oldest(self) -> str:
        """The key of the message that was said first, empty for none."""
        return next(iter(self._messages), "")

    def texts(self) -> list[str]:
        """All of them, to be said again."""
        return [said.text for said in self._messages.values()]

    def overdue(self) -> list[Said]:
        """Take out what has waited too long."""
        since = time.perf_counter() - TIMEOUT_SECONDS
        return self._take([key for key, said in self._messages.items() if said.began < since])

    def settle(self) -> list[Said]:
        """Wait until all is back or too late; take out and return what is left."""
        last = max((said.began for said in self._messages.values()), default=0.0)
        self._none.wait(max(0.0, last + TIMEOUT_SECONDS - time.perf_counter()))
        return self._take(list(self._messages))

    def _take(self, keys: list[str]) -> list[Said]:
        return [said for key in keys if (said := self.back(key))]
