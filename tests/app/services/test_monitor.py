"""The times at which workers beat."""

import pytest

from app.services.monitor import BEAT_SECONDS, TURN_SECONDS, TURNS, turn


def test_turns_differ() -> None:
    """No two of 2 * TURNS workers beat at the same time."""
    turns = [turn(number) for number in range(2 * TURNS)]

    assert len({round(each / TURN_SECONDS) for each in turns}) == 2 * TURNS


@pytest.mark.parametrize("number", [0, 1, 2, 3, 1_000, 4_194_303])
def test_turn_follows_a_heartbeat(number: int) -> None:
    """A worker beats just after a whole second, and neighbours in different halves of the period."""
    half, after = divmod(turn(number), BEAT_SECONDS / 2)

    assert half == number % 2
    assert TURN_SECONDS <= after <= 0.1
