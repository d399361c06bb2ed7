"""Whether a worker is idle, so that it need not look around ten times a second; and the bell that wakes it."""

import asyncio
from collections.abc import Callable

from uvicorn.server import ServerState

from slipway.serving.mailbox import Mailbox


class Quiet:
    """Compares a worker's counts from look to look. Made in the loop, which watches the arbiter's bell."""

    def __init__(self, mailbox: Mailbox, state: ServerState, wake: Callable[[], None]) -> None:
        self._mailbox = mailbox
        self._state = state
        self._wake = wake
        self._before = (-1, -1)
        if mailbox.bell is not None:
            asyncio.get_running_loop().add_reader(mailbox.bell, self._rung)

    def look(self) -> bool:
        """Whether the worker listens, has as many connections and answers as at the last look, and has a bell."""
        before, self._before = self._before, (len(self._state.connections), self._state.total_requests)
        return self._mailbox.bell is not None and self._mailbox.listens and before == self._before

    def _rung(self) -> None:
        self._mailbox.silence()
        self._wake()
