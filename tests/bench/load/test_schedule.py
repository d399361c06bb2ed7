"""Arrivals have the given rate, are the same for the same seed, and belong to one phase."""

import itertools
import statistics

from bench.load.schedule import measured, poisson


def test_poisson_arrivals_have_the_rate_and_the_spread_of_chance() -> None:
    offsets = list(poisson(1_000, 20, seed=1))
    gaps = [b - a for a, b in itertools.pairwise(offsets)]

    assert abs(len(offsets) - 20_000) < 600
    assert abs(statistics.stdev(gaps) / statistics.mean(gaps) - 1) < 0.05
    assert offsets == sorted(offsets) and offsets[-1] < 20


def test_the_same_seed_gives_the_same_arrivals() -> None:
    assert list(poisson(50, 2, seed=7)) == list(poisson(50, 2, seed=7)) != list(poisson(50, 2, seed=8))


def test_a_request_belongs_to_the_phase_in_which_it_was_meant_to_start() -> None:
    warmup = 1.0

    assert [measured(offset, warmup) for offset in (0.0, 0.999, 1.0, 5.0)] == [False, False, True, True]
