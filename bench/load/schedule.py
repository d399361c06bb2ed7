"""When requests of an open load start, and which of them count."""

import random
from collections.abc import Iterator


def poisson(rate: float, seconds: float, seed: int) -> Iterator[float]:
    """Arrivals of many independent clients: offsets in seconds, the same for the same seed."""
    chance, offset = random.Random(seed), 0.0
    while (offset := offset + chance.expovariate(rate)) < seconds:
        yield offset


def measured(offset: float, warmup: float) -> bool:
    """A request belongs to the phase in which it was meant to start, however late it ended."""
    return offset >= warmup
