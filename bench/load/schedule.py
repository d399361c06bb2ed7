"""The start times of an open load's requests, and which requests are measured."""

import random
from collections.abc import Iterator


def poisson(rate: float, seconds: float, seed: int) -> Iterator[float]:
    """Poisson arrivals as offsets in seconds, the same for the same seed."""
    chance, offset = random.Random(seed), 0.0
    while (offset := offset + chance.expovariate(rate)) < seconds:
        yield offset


def measured(offset: float, warmup: float) -> bool:
    """Whether a request is scheduled after the warm-up; its end does not matter."""
    return offset >= warmup
