"""What a listener finds wrong with the order of messages, and what it does not."""

from collections.abc import Callable

import pytest

from loadtest import _talk
from loadtest._order import ORDER, TWICE, Order
from loadtest._talk import TalkListener

KEY = "0123456789abcdef-{}".format


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Callable[[], TalkListener]:
    """Makes listeners of one process."""
    monkeypatch.setattr(_talk, "order", Order())
    return lambda: TalkListener("chat")


def heard(listener: TalkListener, *numbers: int) -> list[str | None]:
    return [listener.hear(KEY(number)) for number in numbers]


def test_order_of_the_first_is_that_of_all(listener: Callable[[], TalkListener]) -> None:
    """Speakers whose messages come in another order to another listener are told."""
    others = "fedcba9876543210-0"
    first, second = listener(), listener()
    assert [first.hear(KEY(0)), first.hear(others)] == [None, None]

    assert [second.hear(others), second.hear(KEY(0))] == [None, ORDER]


def test_twice(listener: Callable[[], TalkListener]) -> None:
    """The same message again is told, also after a resume."""
    one = listener()
    assert heard(one, 0, 1) == [None, None]
    one.resume()

    assert heard(one, 1) == [TWICE]


def test_resume_from_the_beginning_hears_what_is_older_than_all(listener: Callable[[], TalkListener]) -> None:
    """A listener that comes back before it has heard anything gets messages that the others joined too late for."""
    other, restarted = listener(), listener()
    assert heard(other, 5, 6) == [None, None]
    restarted.resume()

    assert heard(restarted, 2, 3, 4, 5, 6, 7) == [None] * 6
    assert heard(other, 7, 8) == [None, None]


def test_disorder_after_a_resume_is_told(listener: Callable[[], TalkListener]) -> None:
    """What comes too late among the old ones, or among those that follow, is out of order."""
    other, restarted = listener(), listener()
    heard(other, 5, 6)
    restarted.resume()

    assert heard(restarted, 2, 4, 3, 5, 7, 6) == [None, None, ORDER, None, None, ORDER]
