"""The interface of the log that all workers share; its back ends are the embedded one and Redis."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

from .items import Beat, Extract


class SharedLog(ABC):
    """The shared log. Each call raises Unavailable when the log can't be reached, and Full when it has no room."""

    @abstractmethod
    async def append(self, data: str, key: str) -> tuple[str, int]:
        """Append a JSON object to the log and wake all workers; return its epoch and number.

        If the log has a message with the same key (not empty), that one's place is returned and nothing is appended.
        """

    @abstractmethod
    async def tell(self, data: str) -> None:
        """Send a beat to all workers, and write to the log's store: this detects a log that takes no writes."""

    @abstractmethod
    async def read(self, after: int, limit: int) -> Extract:
        """Return the messages after a number, oldest first."""

    @abstractmethod
    async def news(self, after: int, limit: int) -> tuple[Extract | None, Sequence[Beat]]:
        """Wait up to a second for new messages; return them (None: the beats show none) and the beats that came."""

    @abstractmethod
    async def renew(self, epoch: str) -> None:
        """Begin a new epoch if `epoch` is still the current one."""

    @abstractmethod
    async def close(self) -> None:
        """Close files and connections."""


class Log(Protocol):
    """The part of the bus that a connection reads from."""

    @property
    def epoch(self) -> str: ...

    @property
    def last(self) -> int: ...

    @property
    def available(self) -> bool: ...

    @property
    def readable(self) -> bool: ...

    async def read(self, after: int, limit: int) -> Extract: ...
