"""The time between SIGTERM and the drain in which balancers that poll notice: all is served, but not ready."""

import logging
import signal
from collections.abc import Iterable
from typing import Protocol

from slipway.serving.clock import RunningClock
from slipway.serving.mailbox import Mailbox

log = logging.getLogger("gunicorn.error")

POLL_SECONDS = 0.1
AT_ONCE = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}


class Supervising(Protocol):
    """What gunicorn's arbiter does again and again."""

    def wait_for_signals(self, timeout: float = 1.0) -> list[int]:
        """The signals that have come, after at most `timeout` seconds."""

    def reap_workers(self) -> None:
        """Take note of workers that have ended."""

    def murder_workers(self) -> None:
        """End workers that hang."""

    def manage_workers(self) -> None:
        """Start those that are missing."""

    def mailboxes(self) -> Iterable[Mailbox]:
        """Of all workers."""


def serve_on(server: Supervising, clock: RunningClock, seconds: float) -> bool:
    """Have workers say that they are not ready, and look after them; whether a signal says that there is no time."""
    log.info("Stopping in %g s; until then all is served, and the ready path answers 503", seconds)
    deadline = clock.tick() + seconds
    while clock.tick() < deadline:
        for mailbox in server.mailboxes():
            mailbox.say_lame_duck()
        if signals := AT_ONCE & {*server.wait_for_signals(POLL_SECONDS)}:
            return signals != {signal.SIGTERM}
        server.reap_workers()
        server.murder_workers()
        server.manage_workers()
    return False
