"""The layers' app is the shipped one: the same middleware in the same order, with another handler."""

import json
import mmap
from pathlib import Path

import pytest

from app.config import AppSettings
from app.main import create_app
from bench.layers import counted
from bench.layers.apps import toolkit
from bench.layers.cases import GOALS, TOOLKIT
from bench.layers.measure import Measurement
from bench.layers.results_table import case_results
from bench.load.wrk import Peak


def middleware(app: object) -> list[str]:
    names = []
    while hasattr(app, "app"):
        names.append(type(app).__name__)
        app = app.app
    return [*names, type(app).__name__]


def test_the_toolkit_row_has_the_middleware_of_the_app_in_its_order(tmp_path: Path) -> None:
    shipped = create_app(AppSettings.from_environment({"DATA_DIR": str(tmp_path)}))

    assert middleware(toolkit.application) == ["Guard", *(name for name in middleware(shipped) if name != "Lifespan")]


def measured(microseconds: float, requests: int = 1_000) -> Measurement:
    return Measurement(Peak(requests, 1, 0, 1, 1, 1, 1, 1), microseconds)


def test_a_ratio_is_taken_within_its_round() -> None:
    """A round on a machine three times as slow gives the same ratio."""
    rounds = {"base": [measured(10), measured(30)], "row": [measured(20), measured(60)]}

    found = case_results(rounds, "base", {"row": 0.6})[1]

    assert found.ratio.middle == 0.5
    assert found.reached == "NOT reached"


@pytest.mark.parametrize("stood_still", ["base", "row"])
def test_a_window_without_an_answer_is_left_out_with_its_pair(stood_still: str) -> None:
    """On a stalled machine neither cost nor rate is valid."""
    rounds = {"base": [measured(10), measured(10)], "row": [measured(20), measured(20)]}
    rounds[stood_still][0] = measured(5_000, requests=0)

    found = case_results(rounds, "base", {})[1]

    assert (found.ratio.middle, found.microseconds, found.rate_ratio) == (0.5, 20, 1)


async def test_the_watched_row_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request of that row leaves a record with its id, and a count in memory that another process can read."""
    lines: list[bytes] = []
    monkeypatch.setattr(toolkit.watched.record, "_write", lines.append)
    method, path, headers, _ = counted.REQUESTS["GET"]
    await toolkit.watched(counted.scope(method, path, headers), counted.receive, counted.send)
    (record,) = map(json.loads, lines)
    board = toolkit.watched.counts.board

    assert (record["status"], record["request_id"]) == (200, dict(headers)[b"x-request-id"].decode())
    assert isinstance(board.figures.obj, mmap.mmap)
    assert sum(board.durations()) == 1
    assert GOALS["GET /api/users/2"][TOOLKIT[-1].name] == 0.70
