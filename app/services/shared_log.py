"""The log that all workers share, as its back ends offer it: an embedded one, and Redis."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from .items import Beat, Extract


class SharedLog(ABC):
    """Each call raises Unavailable when the log can't be reached, and Full when it has no room."""

    @abstractmethod
    async def append(self, data: str, key: str) -> tuple[str, int]:
        """Put a JSON object at the end of the log and wake all workers; return its epoch and number.

        If there is one with the same key (not empty) it stays the only one.
        """

    @abstractmethod
    async def tell(self, data: str) -> None:
        """Pass a beat on to all workers, and write: a log that takes nothing is noticed without messages, too."""

    @abstractmethod
    async def read(self, after: int, limit: int) -> Extract:
        """Messages after a number, oldest first."""

    @abstractmethod
    async def news(self, after: int, limit: int) -> tuple[Extract | None, Sequence[Beat]]:
        """The same, but wait a second for something new; and the beats that came. None: they tell of nothing new."""

    @abstractmethod
    async def renew(self, epoch: str) -> None:
        """Begin a new epoch, unless the log has another one than `epoch` by now."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of files and connections."""
