"""The search for the sustainable rate, the highest that meets the objective, by probes with an open load."""

from collections.abc import Callable
from dataclasses import dataclass

ACHIEVED = 0.99  # of the offered requests


@dataclass(frozen=True, slots=True)
class Probe:
    """The outcome of one rate."""

    rate: float
    achieved: float  # completed divided by offered
    p99: float  # milliseconds, from the scheduled start
    errors: int
    valid: bool  # whether the generator kept up

    def holds(self, objective: float) -> bool:
        return self.valid and self.errors == 0 and self.achieved >= ACHIEVED and self.p99 <= objective


@dataclass(frozen=True, slots=True)
class Sustainable:
    """The highest rate that met the objective; `limited`: the generator, not the server, was the limit."""

    rate: float
    limited: bool
    probes: tuple[Probe, ...]


def search(probe: Callable[[float], Probe], *, low: float, high: float, objective: float, probes: int) -> Sustainable:
    """Probe `high`, raise it while it holds, else bisect on a logarithmic scale, until no probes are left."""
    tried: list[Probe] = []
    best, rate = 0.0, high
    failed: Probe | None = None  # the lowest one that did not hold
    for _ in range(probes):
        tried.append(found := probe(rate))
        if found.holds(objective):
            best = low = rate
        else:
            failed = found
        rate = rate * 1.5 if failed is None else (low * failed.rate) ** 0.5
    return Sustainable(best, failed is not None and not failed.valid, tuple(tried))
