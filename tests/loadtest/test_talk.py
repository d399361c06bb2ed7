"""Which orders of messages a listener reports as wrong, and which it accepts."""

from collections.abc import Callable

import pytest

from loadtest import _talk
from loadtest._order import ORDER, TWICE, Order
from loadtest._talk import TalkListener

KEY = "0123456789abcdef-{}".format


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Callable[[], TalkListener]:
    """Return a function that makes listeners of one process."""
    monkeypatch.setattr(_talk, "order", Order())
    return lambda: TalkListener("chat")


def heard(listener: TalkListener, *numbers: int) -> list[str | None]:
    return [listener.hear(KEY(number)) for number in numbers]


def test_order_of_the_first_is_that_of_all(listener: Callable[[], TalkListener]) -> None:
    """The first listener's order is the reference: another order of two speakers' messages is reported."""
    others = "fedcba9876543210-0"
    first, second = listener(), listener()
    assert [first.hear(KEY(0)), first.hear(others)] == [None, None]

    assert [second.hear(others), second.hear(KEY(0))] == [None, ORDER]


def test_twice(listener: Callable[[], TalkListener]) -> None:
    """A repeated message is reported, also after a resume."""
    one = listener()
    assert heard(one, 0, 1) == [None, None]
    one.resume()

    assert heard(one, 1) == [TWICE]


def test_resume_from_the_beginning_hears_what_is_older_than_all(listener: Callable[[], TalkListener]) -> None:
    """A listener that resumes from the beginning accepts messages older than those that the others heard first."""
    other, restarted = listener(), listener()
    assert heard(other, 5, 6) == [None, None]
    restarted.resume()

    assert heard(restarted, 2, 3, 4, 5, 6, 7) == [None] * 6
    assert heard(other, 7, 8) == [None, None]


def test_disorder_after_a_resume_is_told(listener: Callable[[], TalkListener]) -> None:
    """A message that comes too late, among the replayed ones or after them, is reported as out of order."""
    other, restarted = listener(), listener()
    heard(other, 5, 6)
    restarted.resume()

    assert heard(restarted, 2, 4, 3, 5, 7, 6) == [None, None, ORDER, None, None, ORDER]
