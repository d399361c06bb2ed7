"""An event that wakes a handler when something has arrived for it."""

import asyncio


class Arrival:
    """A lazy asyncio.Event, made only when a handler has to wait: most requests have arrived whole by then."""

    __slots__ = ("_event", "is_set")

    def __init__(self) -> None:
        self._event: asyncio.Event | None = None
        self.is_set = False

    def set(self) -> None:
        """Wake the waiting handler, and let later waits return at once."""
        self.is_set = True
        if self._event is not None:
            self._event.set()

    def clear(self) -> None:
        """Make later waits block."""
        self.is_set = False
        if self._event is not None:
            self._event.clear()

    async def wait(self) -> None:
        """Wait until it is set."""
        if not self.is_set:
            self._event = self._event or asyncio.Event()
            await self._event.wait()
