"""The layers' app is the shipped one: the same middleware in the same order, with another handler."""

from pathlib import Path

import pytest

from app.config import Settings
from app.main import create_app
from bench.layers.apps import toolkit
from bench.layers.measure import Weighed
from bench.layers.table import lines
from bench.load.wrk import Peak


def middleware(app: object) -> list[str]:
    names = []
    while hasattr(app, "app"):
        names.append(type(app).__name__)
        app = app.app
    return [*names, type(app).__name__]


def test_the_toolkit_row_has_the_middleware_of_the_app_in_its_order(tmp_path: Path) -> None:
    shipped = create_app(Settings.from_environment({"DATA_DIR": str(tmp_path)}))

    assert middleware(toolkit.application) == ["Guard", *(name for name in middleware(shipped) if name != "Lifespan")]


def weighed(microseconds: float, requests: int = 1_000) -> Weighed:
    return Weighed(Peak(requests, 1, 0, 1, 1, 1, 1, 1), microseconds)


def test_a_ratio_is_taken_within_its_round() -> None:
    """A round in which the machine was three times as slow says the same as another."""
    rounds = {"base": [weighed(10), weighed(30)], "row": [weighed(20), weighed(60)]}

    found = lines(rounds, "base", {"row": 0.6})[1]

    assert found.ratio.middle == 0.5
    assert found.reached == "NOT reached"


@pytest.mark.parametrize("stood_still", ["base", "row"])
def test_a_window_without_an_answer_is_left_out_with_its_pair(stood_still: str) -> None:
    """The machine stood still: neither its cost nor its rate is a figure."""
    rounds = {"base": [weighed(10), weighed(10)], "row": [weighed(20), weighed(20)]}
    rounds[stood_still][0] = weighed(5_000, requests=0)

    found = lines(rounds, "base", {})[1]

    assert (found.ratio.middle, found.microseconds, found.rate_ratio) == (0.5, 20, 1)
