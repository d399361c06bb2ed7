"""A run is planned whole before it begins, and fits its time."""

from typing import Any

import pytest

from bench.arms import chosen
from bench.plan import AGAIN, FULL, NORMAL, QUICK, plan, total_seconds

ARMS = chosen("")


@pytest.mark.parametrize(("mode", "minutes"), [(QUICK, 2.1), (NORMAL, 9.6)])
def test_the_estimate_fits_the_promise(mode: Any, minutes: float) -> None:
    assert total_seconds(plan(mode, ARMS, seed=1)) <= minutes * 60


def test_every_round_has_every_arm_once_and_the_control() -> None:
    visits = plan(NORMAL, ARMS, seed=1)

    for number in range(1, NORMAL.rounds + 1):
        labels = [visit.label for visit in visits if visit.round == number]
        assert sorted(labels) == sorted([*(arm.name for arm in ARMS), ARMS[0].name + AGAIN])


def test_the_order_is_mixed_and_the_same_for_the_same_seed() -> None:
    orders = {tuple(visit.label for visit in plan(FULL, ARMS, seed=5) if visit.round == n) for n in range(1, 11)}

    assert len(orders) > 3
    assert plan(FULL, ARMS, seed=5) == plan(FULL, ARMS, seed=5)


def test_numbers_of_steps_are_unique() -> None:
    numbers = [step.number for visit in plan(FULL, ARMS, seed=1) for step in visit.steps]

    assert len(numbers) == len(set(numbers))
