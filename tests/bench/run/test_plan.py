"""The whole run is planned before it begins, and fits its time."""

from typing import Any

import pytest

from bench.figures.results import AGAIN
from bench.figures.stats import LEAST_ROUNDS
from bench.run.arms import ASGI, chosen
from bench.run.plan import FULL, MODES, NORMAL, QUICK, QUIET_RATES, of_one, plan, total_seconds

ARMS = chosen("")


@pytest.mark.parametrize(("mode", "minutes"), [(QUICK, 2), (NORMAL, 10), (FULL, 60)])
def test_the_estimate_fits_the_promise(mode: Any, minutes: float) -> None:
    assert total_seconds(mode, ARMS, plan(mode, ARMS, seed=1)) <= minutes * 60


@pytest.mark.parametrize("mode", MODES.values(), ids=lambda mode: mode.name)
def test_a_mode_has_rounds_enough_for_a_verdict(mode: Any) -> None:
    assert mode.rounds >= LEAST_ROUNDS


@pytest.mark.parametrize("mode", [NORMAL, FULL], ids=lambda mode: mode.name)
def test_each_arm_is_measured_idle_once_and_first(mode: Any) -> None:
    """Each arm is measured idle before any load, which could leave something behind."""
    for visit in plan(mode, ARMS, seed=1):
        rates = [step.rate for step in visit.steps if step.what == "quiet"]

        assert rates == ([] if visit.round else [*QUIET_RATES])
        assert [step.what for step in visit.steps[: len(rates)]] == ["quiet"] * len(rates)


@pytest.mark.parametrize("mode", MODES.values(), ids=lambda mode: mode.name)
def test_an_app_by_itself_is_asked_its_first_page_alone(mode: Any) -> None:
    """The app and its control are measured in each round, without the workloads that only the shipped app has."""
    visits = plan(of_one(mode), [ASGI], seed=1)

    assert {step.workload.name for visit in visits for step in visit.steps} == {"own"}
    assert {visit.label for visit in visits} == {"asgi", "asgi" + AGAIN}
    assert {step.what for visit in visits for step in visit.steps} <= {"quiet", "search", "rate", "peak"}


def test_every_round_has_every_arm_once_and_the_control() -> None:
    visits = plan(NORMAL, ARMS, seed=1)

    for number in range(1, NORMAL.rounds + 1):
        labels = [visit.label for visit in visits if visit.round == number]
        assert sorted(labels) == sorted([*(arm.name for arm in ARMS), ARMS[0].name + AGAIN])


def test_the_order_is_mixed_and_the_same_for_the_same_seed() -> None:
    orders = {
        tuple(visit.label for visit in plan(FULL, ARMS, seed=5) if visit.round == n) for n in range(1, FULL.rounds + 1)
    }

    assert len(orders) > 3
    assert plan(FULL, ARMS, seed=5) == plan(FULL, ARMS, seed=5)


def test_numbers_of_steps_are_unique() -> None:
    numbers = [step.number for visit in plan(FULL, ARMS, seed=1) for step in visit.steps]

    assert len(numbers) == len(set(numbers))


def test_sockets_and_waiting_connections_are_measured_in_every_round() -> None:
    """Every arm that supports them is measured: WSGI has no websockets."""
    for mode in (NORMAL, FULL):
        for visit in plan(mode, ARMS, seed=1):
            names = {step.workload.name for step in visit.steps if step.what == "rate"}
            if visit.round:
                assert "idle" in names
                assert ({"echo", "events", "idle-websockets"} <= names) == (visit.arm == "asgi")


def test_memory_is_measured_before_other_work_has_left_any_behind() -> None:
    for visit in plan(NORMAL, ARMS, seed=1):
        waiting = [bool(step.workload.waiting) for step in visit.steps]

        assert waiting == sorted(waiting, reverse=True)


def test_the_generators_are_compared_once() -> None:
    checks = [step for visit in plan(NORMAL, ARMS, seed=1) for step in visit.steps if step.what == "check"]

    assert len(checks) == 1
