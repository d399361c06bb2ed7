"""The verdicts of `make prove`: each promise is kept, broken, or too noisy to tell."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from slipway.ops.load import Load

FACTOR = 3.0  # the highest p99 during a reload, as a multiple of the steady p99
NOTICED_SECONDS = 0.02  # a p99 below this counts as no delay, whatever the steady p99 is


class Verdict(Enum):
    """The result of one promise."""

    KEPT = "kept"
    BROKEN = "BROKEN"
    NOISY = "too noisy to tell"
    """A limit was exceeded while other programs kept the machine busy, or in only some of the measurements."""


@dataclass(frozen=True)
class PromiseResult:
    """One line of the table."""

    promise: str
    seen: str
    verdict: Verdict


def lost(promise: str, seen: Load) -> PromiseResult:
    """Judge that no request is lost, however busy the machine is."""
    reason = f": {seen.failures[0]}" if seen.failures else ""
    verdict = Verdict.BROKEN if seen.failures or not seen.latencies else Verdict.KEPT
    return PromiseResult(promise, f"{len(seen.failures)} of {len(seen.latencies):,} lost{reason}", verdict)


def within(promise: str, seconds: float, most: float, load: Load | None = None) -> PromiseResult:
    """Judge a time limit in seconds; `load` ran meanwhile."""
    if seconds <= most:
        verdict = Verdict.KEPT
    else:
        verdict = Verdict.NOISY if load is not None and load.crowded else Verdict.BROKEN
    return PromiseResult(promise, f"{seconds:.1f} s", verdict)


def latency(promise: str, steady: Sequence[Load], busy: Sequence[Load]) -> PromiseResult:
    """Judge the p99 of windows with an operation against the p99 of the steady windows around them."""
    quiet, seen = [load.p99() for load in steady], [load.p99() for load in busy]
    limit = max(FACTOR * sorted(quiet)[len(quiet) // 2], NOTICED_SECONDS)
    text = f"{_milliseconds(seen)}, steady {_milliseconds(quiet)} ms"
    return PromiseResult(
        promise, text, _judge(limit, quiet, seen, crowded=any(load.crowded for load in [*steady, *busy]))
    )


def _judge(limit: float, quiet: Sequence[float], seen: Sequence[float], *, crowded: bool) -> Verdict:
    if all(p99 <= limit for p99 in seen):
        return Verdict.KEPT
    # steady windows that differ among themselves by more than the allowed factor are no measure for the others
    unsteady = max(quiet) > max(FACTOR * min(quiet), NOTICED_SECONDS)
    once = any(p99 <= limit for p99 in seen)
    return Verdict.NOISY if crowded or unsteady or once else Verdict.BROKEN


def _milliseconds(values: Sequence[float]) -> str:
    return " and ".join(f"{value * 1_000:.1f}" for value in values)
