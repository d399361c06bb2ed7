"""The arbiter's clock counts the time in which it ran."""

from slipway.serving.clock import LONGEST_STEP_SECONDS, RunningClock


class Time:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_time_between_steps_is_counted() -> None:
    """It begins at 0, and changes with each tick only."""
    time = Time()
    clock = RunningClock(time)
    time.now += 0.5

    assert clock.now() == 0
    assert clock.tick() == 0.5
    assert clock.now() == 0.5


def test_a_stop_counts_as_one_step() -> None:
    """An hour in which nothing ran is as long as the longest step."""
    time = Time()
    clock = RunningClock(time)
    time.now += 3_600

    assert clock.tick() == LONGEST_STEP_SECONDS
