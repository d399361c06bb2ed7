"""Decides whether a successor may take its predecessor's place: it must be ready if the predecessor is.

Both workers ask their app READY_PATH in their own process, at the same time, so that a missing dependency counts for
both. The successor accepts no connection until it is admitted: no client meets code that is not ready.
"""

from enum import Enum, auto

from slipway.serving.clock import RunningClock
from slipway.serving.mailbox import Mailbox

PATIENCE_SECONDS = 10.0  # for an app that gets ready some time after its startup
PAUSE_SECONDS = 0.25  # between two questions
NO_RESPONSE = 0  # the status of an app that raised, or ended without a response


class TakeoverOutcome(Enum):
    """The state of a takeover."""

    OPEN = auto()  # not known yet
    ADMITTED = auto()  # the successor is ready, or the predecessor is not ready either
    REFUSED = auto()  # the predecessor is ready and the successor is not


class Takeover:
    """One successor and its predecessor."""

    def __init__(self, new: Mailbox, old: Mailbox, path: str, clock: RunningClock, patience: float) -> None:
        self._new = new
        self._old = old
        self._path = path
        self._clock = clock
        self._patience = min(patience, PATIENCE_SECONDS)
        self._began_at = clock.now()
        self._said: tuple[int | None, int | None] = (None, None)  # the last answers of the new and the old worker
        self._ask()

    def outcome(self) -> TakeoverOutcome:
        """Return the outcome so far; called many times a second while it is OPEN."""
        new, old = self._new.status, self._old.status
        both = new is not None and old is not None
        self._said = (self._said[0] if new is None else new, self._said[1] if old is None else old)
        if _is_ready(new) or (both and not _is_ready(old)):
            return TakeoverOutcome.ADMITTED
        if self._clock.now() - self._began_at > self._patience:  # the last questions may still be on their way
            return TakeoverOutcome.REFUSED if _is_ready(self._said[1]) else TakeoverOutcome.ADMITTED
        if both and self._clock.now() - self._asked_at > PAUSE_SECONDS:
            self._ask()
        return TakeoverOutcome.OPEN

    @property
    def reason(self) -> str:
        """Why the takeover was refused."""
        new, old = self._said
        return f"not ready where the old code is: {self._path} {_in_words(new)}, before {old}"

    def _ask(self) -> None:
        self._asked_at = self._clock.now()
        self._new.ask()
        self._old.ask()


def _is_ready(status: int | None) -> bool:
    return status is not None and 200 <= status < 400


def _in_words(status: int | None) -> str:
    if status is None:
        return "gives no answer"
    return f"answers {status}" if status else "raises"
