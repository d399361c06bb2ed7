"""A successor is admitted if it is ready, or if its predecessor is not."""

import pytest

from slipway.serving.clock import RunningClock
from slipway.serving.mailbox import Mailbox
from slipway.serving.takeover import NO_RESPONSE, Takeover, Verdict


class Stage:
    """A takeover whose workers and time the test plays."""

    def __init__(self) -> None:
        self.time = 0.0
        self.clock = RunningClock(lambda: self.time)
        self.new, self.old = Mailbox(admitted=False), Mailbox(admitted=True)
        self.takeover = Takeover(self.new, self.old, "/readyz", self.clock, 10)

    def play(self, new: int | None, old: int | None, seconds: int = 20) -> Verdict:
        """Answer every question so, until there is a verdict."""
        for _ in range(seconds):
            for box, status in ((self.new, new), (self.old, old)):
                if status is not None:
                    box.answer(box.question, status)
            if (verdict := self.takeover.verdict()) is not Verdict.OPEN:
                return verdict
            self.time += 1
            self.clock.tick()
        return Verdict.OPEN


@pytest.mark.parametrize(
    ("new", "old", "verdict"),
    [
        (200, 200, Verdict.ADMITTED),
        (204, 404, Verdict.ADMITTED),
        (200, None, Verdict.ADMITTED),
        (404, 404, Verdict.ADMITTED),
        (503, 503, Verdict.ADMITTED),
        (NO_RESPONSE, 503, Verdict.ADMITTED),
        (None, 503, Verdict.ADMITTED),
        (None, None, Verdict.ADMITTED),
        (500, None, Verdict.ADMITTED),
        (500, 200, Verdict.REFUSED),
        (404, 200, Verdict.REFUSED),
        (NO_RESPONSE, 200, Verdict.REFUSED),
        (None, 302, Verdict.REFUSED),
    ],
)
def test_verdict(new: int | None, old: int | None, verdict: Verdict) -> None:
    """None is an app that gives no answer."""
    assert Stage().play(new, old) is verdict


def test_successor_that_gets_ready_is_waited_for() -> None:
    """It is asked again for some time."""
    stage = Stage()

    assert stage.play(503, 200, seconds=5) is Verdict.OPEN
    assert stage.play(200, 200) is Verdict.ADMITTED


@pytest.mark.parametrize("pause", [1, 2, 3, 4])
def test_answers_that_are_on_their_way_when_time_is_over(pause: int) -> None:
    """The last ones that came count: a worker that has answered before is not one that never answers."""
    stage = Stage()
    verdict = Verdict.OPEN
    for turn in range(20):
        new, old = (500, 200) if turn % pause == 0 else (None, None)
        verdict = stage.play(new, old, seconds=1)
        if verdict is not Verdict.OPEN:
            break

    assert verdict is Verdict.REFUSED
    assert "answers 500, before 200" in stage.takeover.reason


def test_reason_names_both_answers() -> None:
    """So that the operator sees what has become worse."""
    stage = Stage()
    stage.play(500, 200)

    assert stage.takeover.reason == "not ready where the old code is: /readyz answers 500, before 200"
