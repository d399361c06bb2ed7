"""A successor is admitted if it is ready, or if its predecessor is not."""

import pytest

from slipway.serving.clock import RunningClock
from slipway.serving.mailbox import Mailbox
from slipway.serving.takeover import NO_RESPONSE, Takeover, TakeoverOutcome


class Stage:
    """A takeover whose workers and time are set by the test."""

    def __init__(self) -> None:
        self.time = 0.0
        self.clock = RunningClock(lambda: self.time)
        self.new, self.old = Mailbox(admitted=False), Mailbox(admitted=True)
        self.takeover = Takeover(self.new, self.old, "/readyz", self.clock, 10)

    def play(self, new: int | None, old: int | None, seconds: int = 20) -> TakeoverOutcome:
        """Answer every question with these statuses until the outcome is known, and return it."""
        for _ in range(seconds):
            for box, status in ((self.new, new), (self.old, old)):
                if status is not None:
                    box.answer(box.question, status)
            if (outcome := self.takeover.outcome()) is not TakeoverOutcome.OPEN:
                return outcome
            self.time += 1
            self.clock.tick()
        return TakeoverOutcome.OPEN


@pytest.mark.parametrize(
    ("new", "old", "outcome"),
    [
        (200, 200, TakeoverOutcome.ADMITTED),
        (204, 404, TakeoverOutcome.ADMITTED),
        (200, None, TakeoverOutcome.ADMITTED),
        (404, 404, TakeoverOutcome.ADMITTED),
        (503, 503, TakeoverOutcome.ADMITTED),
        (NO_RESPONSE, 503, TakeoverOutcome.ADMITTED),
        (None, 503, TakeoverOutcome.ADMITTED),
        (None, None, TakeoverOutcome.ADMITTED),
        (500, None, TakeoverOutcome.ADMITTED),
        (500, 200, TakeoverOutcome.REFUSED),
        (404, 200, TakeoverOutcome.REFUSED),
        (NO_RESPONSE, 200, TakeoverOutcome.REFUSED),
        (None, 302, TakeoverOutcome.REFUSED),
    ],
)
def test_verdict(new: int | None, old: int | None, outcome: TakeoverOutcome) -> None:
    """A successor is admitted if it is ready or its predecessor is not; None is an app that does not answer."""
    assert Stage().play(new, old) is outcome


def test_successor_that_gets_ready_is_waited_for() -> None:
    """A successor that is not ready is asked again for some time."""
    stage = Stage()

    assert stage.play(503, 200, seconds=5) is TakeoverOutcome.OPEN
    assert stage.play(200, 200) is TakeoverOutcome.ADMITTED


@pytest.mark.parametrize("pause", [1, 2, 3, 4])
def test_answers_that_are_on_their_way_when_time_is_over(pause: int) -> None:
    """When time is over, the latest answers count: a worker that has answered once does not count as silent."""
    stage = Stage()
    outcome = TakeoverOutcome.OPEN
    for turn in range(20):
        new, old = (500, 200) if turn % pause == 0 else (None, None)
        outcome = stage.play(new, old, seconds=1)
        if outcome is not TakeoverOutcome.OPEN:
            break

    assert outcome is TakeoverOutcome.REFUSED
    assert "answers 500, before 200" in stage.takeover.reason


def test_reason_names_both_answers() -> None:
    """The reason names both answers, so that the operator sees the change."""
    stage = Stage()
    stage.play(500, 200)

    assert stage.takeover.reason == "not ready where the old code is: /readyz answers 500, before 200"
