"""The arbiter's clock counts only the time in which the arbiter ran."""

from slipway.serving.clock import LONGEST_STEP_SECONDS, RunningClock


class Time:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_time_between_steps_is_counted() -> None:
    """The clock begins at 0, and changes only with a tick."""
    time = Time()
    clock = RunningClock(time)
    time.now += 0.5

    assert clock.now() == 0
    assert clock.tick() == 0.5
    assert clock.now() == 0.5


def test_a_stop_counts_as_one_step() -> None:
    """An hour in which nothing ran counts as the longest step."""
    time = Time()
    clock = RunningClock(time)
    time.now += 3_600

    assert clock.tick() == LONGEST_STEP_SECONDS
