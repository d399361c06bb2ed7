"""The time between SIGTERM and the drain: requests are served, but the ready path tells balancers to go elsewhere."""

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
    """The steps of the arbiter's loop."""

    def wait_for_signals(self, timeout: float = 1.0) -> list[int]:
        """Return the signals that have arrived, after at most `timeout` seconds."""

    def reap_workers(self) -> None:
        """Take note of ended workers."""

    def murder_workers(self) -> None:
        """End workers that hang."""

    def manage_workers(self) -> None:
        """Start missing workers."""

    def mailboxes(self) -> Iterable[Mailbox]:
        """Return the mailboxes of all workers."""


def serve_on(server: Supervising, clock: RunningClock, seconds: float) -> bool:
    """Have workers report not ready, and keep the loop going; return whether a signal asks for a quick stop."""
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
