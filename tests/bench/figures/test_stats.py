"""Comparisons claim no more than the rounds show."""

import random

import pytest

from bench.figures.stats import NOTHING, Interval, drift, noise_floor, paired_ratio, spread, verdict


def test_pairing_removes_what_both_figures_of_a_round_saw() -> None:
    machine = [1.0, 3.0, 1.5, 2.0, 0.7]

    interval = paired_ratio([2 * speed for speed in machine], machine)

    assert (interval.middle, interval.low, interval.high) == (2, 2, 2)


def test_the_interval_holds_the_true_ratio_in_most_experiments() -> None:
    chance = random.Random(3)

    def experiment() -> bool:
        a = [1.2 * chance.lognormvariate(0, 0.1) for _ in range(10)]
        b = [chance.lognormvariate(0, 0.1) for _ in range(10)]
        interval = paired_ratio(a, b, seed=chance.randrange(1000))
        return interval.low <= 1.2 <= interval.high

    assert sum(experiment() for _ in range(60)) >= 48


def test_the_spread_of_three_rounds_is_from_the_least_to_the_most() -> None:
    assert spread([7.0, 1.0, 2.0]) == Interval(2, 1, 7)


def test_what_is_not_known_is_a_dash() -> None:
    assert spread([]) is NOTHING
    assert str(NOTHING) == "-"
    assert str(Interval(0.12345, 1, 1234.5)) == "0.123 (1 to 1234)"


def test_the_noise_floor_is_the_worst_that_an_arm_differs_from_itself() -> None:
    assert noise_floor([10, 11, 10], [10, 10, 12]) == pytest.approx(1 / 6)


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        (Interval(0.5, 0.4, 0.6), "ASGI better"),
        (Interval(2.0, 1.5, 2.5), "WSGI better"),
        (Interval(1.08, 1.05, 1.2), "no measurable difference"),
        (Interval(0.5, 0.4, 1.3), "no measurable difference"),
    ],
)
def test_what_is_inside_the_noise_is_no_difference(interval: Interval, words: str) -> None:
    assert verdict(interval, 0.1, rounds=5, higher_is_better=False) == words


@pytest.mark.parametrize("rounds", range(5))
def test_fewer_than_five_rounds_say_nothing(rounds: int) -> None:
    """The range of three rounds holds the median in only 75 % of cases."""
    assert verdict(Interval(0.1, 0.1, 0.1), 0.0, rounds=rounds) == "too few rounds to tell"


def test_five_rounds_are_from_the_least_to_the_most() -> None:
    assert spread([5.0, 1.0, 4.0, 2.0, 3.0]) == Interval(3, 1, 5)


def test_a_machine_that_grows_slower_is_seen() -> None:
    assert drift([1, 2, 3, 4, 5]) == 1
    assert abs(drift([3, 1, 4, 1.5, 3.5, 2])) < 0.5
