"""How what `make prove` has seen is judged: each promise is kept, broken, or too noisy to tell."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from slipway.ops.load import Load

FACTOR = 3.0  # of the steady p99 that a reload's may be
NOTICED_SECONDS = 0.02  # a p99 below this is no delay, whatever the steady one was


class Verdict(Enum):
    """What became of a promise."""

    KEPT = "kept"
    BROKEN = "BROKEN"
    NOISY = "too noisy to tell"
    """A time was exceeded while other programs kept the machine busy, or by one of several measurements."""


@dataclass(frozen=True)
class PromiseResult:
    """One line of the table."""

    promise: str
    seen: str
    verdict: Verdict


def lost(promise: str, seen: Load) -> PromiseResult:
    """Nothing may be lost, however busy the machine is."""
    reason = f": {seen.failures[0]}" if seen.failures else ""
    verdict = Verdict.BROKEN if seen.failures or not seen.latencies else Verdict.KEPT
    return PromiseResult(promise, f"{len(seen.failures)} of {len(seen.latencies):,} lost{reason}", verdict)


def within(promise: str, seconds: float, most: float, load: Load | None = None) -> PromiseResult:
    """A time that something may take; `load` is what ran beside it."""
    if seconds <= most:
        verdict = Verdict.KEPT
    else:
        verdict = Verdict.NOISY if load is not None and load.crowded else Verdict.BROKEN
    return PromiseResult(promise, f"{seconds:.1f} s", verdict)


def latency(promise: str, steady: Sequence[Load], busy: Sequence[Load]) -> PromiseResult:
    """The p99 of windows in which something went on against that of quiet windows around them."""
    quiet, seen = [load.p99() for load in steady], [load.p99() for load in busy]
    limit = max(FACTOR * sorted(quiet)[len(quiet) // 2], NOTICED_SECONDS)
    text = f"{_milliseconds(seen)}, steady {_milliseconds(quiet)} ms"
    return PromiseResult(
        promise, text, _judge(limit, quiet, seen, crowded=any(load.crowded for load in [*steady, *busy]))
    )


def _judge(limit: float, quiet: Sequence[float], seen: Sequence[float], *, crowded: bool) -> Verdict:
    if all(p99 <= limit for p99 in seen):
        return Verdict.KEPT
    # quiet windows that differ among themselves by as much as is asked say nothing of what the others differ by
    unsteady = max(quiet) > max(FACTOR * min(quiet), NOTICED_SECONDS)
    once = any(p99 <= limit for p99 in seen)
    return Verdict.NOISY if crowded or unsteady or once else Verdict.BROKEN


def _milliseconds(values: Sequence[float]) -> str:
    return " and ".join(f"{value * 1_000:.1f}" for value in values)
