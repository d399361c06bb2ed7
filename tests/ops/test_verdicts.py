"""The verdicts of `make prove`, from windows with invented values."""

import pytest

from slipway.ops.load import Load
from slipway.ops.verdicts import Verdict, latency, lost, within

QUIET, CROWDED = [1.1, 1.2, 1.3], [4.0, 5.0, 6.0]


def window(p99_ms: float, waits: list[float] | None = None) -> Load:
    return Load([p99_ms / 1_000] * 100, [], waits or QUIET)


@pytest.mark.parametrize(
    ("steady", "busy", "verdict"),
    [
        ([5, 5, 5], [9, 12], Verdict.KEPT),
        ([1, 1, 1], [19, 19], Verdict.KEPT),  # delays below 20 ms do not count
        ([10, 11, 10], [30, 29], Verdict.KEPT),
        ([10, 10, 10], [50, 60], Verdict.BROKEN),
        ([10, 11, 12], [200, 40], Verdict.BROKEN),
        ([10, 10, 10], [50, 12], Verdict.NOISY),  # one of two
        ([5, 30, 100], [400, 500], Verdict.NOISY),  # quiet windows that are not quiet
    ],
)
def test_latency(steady: list[float], busy: list[float], verdict: Verdict) -> None:
    """A delay counts if every window has it and the quiet windows between them agree with each other."""
    row = latency("p99", [window(value) for value in steady], [window(value) for value in busy])

    assert row.verdict is verdict


def test_busy_machine_decides_nothing_against_the_stack() -> None:
    """Where programs wait for a CPU a delay proves nothing, but a value within its bound is kept all the same."""
    quiet, late = [window(5)] * 3, [window(90, CROWDED)] * 2

    assert latency("p99", quiet, late).verdict is Verdict.NOISY
    assert latency("p99", quiet, [window(6, CROWDED)] * 2).verdict is Verdict.KEPT
    assert within("back", 3.0, 2.0, window(5, CROWDED)).verdict is Verdict.NOISY
    assert within("back", 3.0, 2.0, window(5)).verdict is Verdict.BROKEN
    assert within("back", 1.9, 2.0, window(5, CROWDED)).verdict is Verdict.KEPT


def test_losses_are_never_noise() -> None:
    """One lost request is a broken promise, however busy the machine is, and so is a load without requests."""
    assert lost("loses nothing", Load([0.001], ["status 502"], CROWDED)).verdict is Verdict.BROKEN
    assert lost("loses nothing", Load([], [], QUIET)).verdict is Verdict.BROKEN
    assert lost("loses nothing", window(5)).verdict is Verdict.KEPT
