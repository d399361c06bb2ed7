"""The layers' app has the same middleware as the shipped one, in the same order, with another handler."""

from pathlib import Path

import httpx
import pytest

from app.config import AppSettings
from app.main import create_app
from bench.layers.apps import toolkit
from bench.layers.cases import GOALS, TOOLKIT, Case, cases
from bench.layers.measure import Measurement
from bench.layers.results_table import case_results
from bench.layers.targets import started
from bench.load.wrk import Peak
from bench.run import machine


def middleware(app: object) -> list[str]:
    names = []
    while hasattr(app, "app"):
        names.append(type(app).__name__)
        app = app.app
    return [*names, type(app).__name__]


def test_the_toolkit_row_has_the_middleware_of_the_app_in_its_order(tmp_path: Path) -> None:
    shipped = create_app(AppSettings.from_environment({"DATA_DIR": str(tmp_path)}))

    assert ["Lifespan", *middleware(toolkit.stack(toolkit.routed))] == middleware(shipped)


def measured(microseconds: float, requests: int = 1_000) -> Measurement:
    return Measurement(Peak(requests, 1, 0, 1, 1, 1, 1, 1), microseconds)


def test_a_ratio_is_taken_within_its_round() -> None:
    """The ratio of a round does not depend on the machine's speed: one three times as slow gives the same ratio."""
    rounds = {"base": [measured(10), measured(30)], "row": [measured(20), measured(60)]}

    found = case_results(rounds, "base", {"row": 0.6})[1]

    assert found.ratio.middle == 0.5
    assert found.reached == "NOT reached"


@pytest.mark.parametrize("stood_still", ["base", "row"])
def test_a_window_without_an_answer_is_left_out_with_its_pair(stood_still: str) -> None:
    """A window on a stalled machine gives neither a valid cost nor a valid rate."""
    rounds = {"base": [measured(10), measured(10)], "row": [measured(20), measured(20)]}
    rounds[stood_still][0] = measured(5_000, requests=0)

    found = case_results(rounds, "base", {})[1]

    assert (found.ratio.middle, found.microseconds, found.rate_ratio) == (0.5, 20, 1)


@pytest.mark.parametrize("case", TOOLKIT[1:], ids=lambda case: case.name)
def test_rows_of_our_worker_are_served_as_in_service(case: Case, tmp_path: Path) -> None:
    """An answer has the request's id, and the row with the access log writes a record with it."""
    with started(case, machine.split_cpus(), tmp_path) as target:
        answer = httpx.get(f"{target.origin}/api/users/2", headers={"x-request-id": "an-id"})
        log = target.processes[0].log
        assert answer.headers["x-request-id"] == "an-id"
        target.processes[0].stop()
        recorded = '"request_id":"an-id"' in log.read_text()

    assert recorded == (case is TOOLKIT[-1])


def test_goals_are_those_of_rows() -> None:
    """Each goal belongs to a row, and the goal of the row with the access record is 0.70, as in the design."""
    for request, goals in GOALS.items():
        if request != "nginx":
            assert goals.keys() <= {case.name for case in cases(request, plain=True)}
    assert GOALS["GET /api/users/2"][TOOLKIT[-1].name] == 0.70
