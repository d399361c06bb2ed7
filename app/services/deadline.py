"""A deadline for a thread's waits for the database; the ASGI app uses `asyncio.timeout` instead."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """End each wait of this thread for the database at a common deadline, in this many seconds."""
    token = _deadline.set(monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def earlier(seconds: float | None) -> float | None:
    """Return the time-out of a wait: its own (None is endless), or the time left to the deadline if that is shorter."""
    deadline = _deadline.get()
    if deadline is None:
        return seconds
    left = max(0.0, deadline - monotonic())
    return left if seconds is None else min(seconds, left)
