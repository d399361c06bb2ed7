"""The pauses between failed starts grow up to a bound, however many starts fail."""

from slipway.serving.backoff import LONGEST_SECONDS, YOUNG_SECONDS, Backoff
from slipway.serving.clock import RunningClock


def test_pauses_double_up_to_a_bound() -> None:
    """The first pause is short, and after thousands of failures the pause is still the longest allowed one."""
    backoff = Backoff(RunningClock())

    assert [round(backoff.failed(), 1) for _ in range(8)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert {backoff.failed() for _ in range(3_000)} == {LONGEST_SECONDS}
    assert backoff.failed_starts == 3_008
    assert backoff.holds()


def test_success_begins_anew() -> None:
    """A ready worker started after the last failure resets the pauses; one started before it does not."""
    clock = RunningClock()
    backoff = Backoff(clock)
    backoff.failed()
    backoff.succeeded(spawned_at=-5.0)
    assert backoff.failed() == 0.2

    backoff.succeeded(spawned_at=clock.now())
    assert backoff.failed() == 0.1


def test_worker_that_ends_young_is_no_failed_start() -> None:
    """A worker that ends young may have been killed by chance, so it is no failed start and the pause stays short."""
    backoff = Backoff(RunningClock())

    assert [backoff.ended_young() for _ in range(3)] == [YOUNG_SECONDS] * 3
    assert backoff.failed_starts == 0
