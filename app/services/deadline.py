"""The end of a thread's patience; the ASGI app has `asyncio.timeout` for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let each wait of this thread for the database end in time."""
    token = _deadline.set(monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def earlier(seconds: float | None) -> float | None:
    """The time-out of a wait that has one of its own, or none: the deadline's if that is earlier."""
    deadline = _deadline.get()
    if deadline is None:
        return seconds
    left = max(0.0, deadline - monotonic())
    return left if seconds is None else min(seconds, left)
