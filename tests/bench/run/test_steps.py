"""All arms get the same load, derived from the weakest arm's sustainable rate."""

from pathlib import Path

import pytest

from bench.figures.results import Results
from bench.run import machine
from bench.run.plan import NORMAL
from bench.run.steps import StepRunner
from bench.run.workloads import BY_NAME, LOWEST


@pytest.fixture
def steps(tmp_path: Path) -> StepRunner:
    results = Results(tmp_path / "r")
    results.create({})
    return StepRunner(results, NORMAL, machine.Cpus((), ()), objective=100, seed=1)


def searched(steps: StepRunner, number: int, workload: str, sustainable: float, low: float = 1.0) -> None:
    steps.results.save(number, {"what": "search", "workload": workload, "sustainable": sustainable, "low": low})


def test_the_common_rate_is_a_part_of_what_the_weakest_arm_holds(steps: StepRunner) -> None:
    for number, sustainable in enumerate((4_000.0, 900.0, 1_000.0)):
        searched(steps, number, "json", sustainable)
    searched(steps, 9, "plaintext", 10.0)

    assert steps.common_rate(BY_NAME["json"], 0.5) == 450


def test_an_arm_of_which_no_probe_held_is_taken_for_what_the_search_began_with(steps: StepRunner) -> None:
    """The generator may have failed its probes, and a rate of 0 would make the figures of all arms worthless."""
    searched(steps, 1, "json", 4_000.0)
    searched(steps, 2, "json", 0.0, low=200.0)

    assert steps.common_rate(BY_NAME["json"], 0.5) == 100


def test_a_rate_is_never_so_low_that_nothing_happens(steps: StepRunner) -> None:
    searched(steps, 1, "wait", 4.0)

    assert steps.common_rate(BY_NAME["wait"], 0.5) == LOWEST
