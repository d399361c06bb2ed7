"""The layers' app is the shipped one: the same middleware in the same order, with another handler."""

from pathlib import Path

from app.config import Settings
from app.main import create_app
from bench.layers.apps import toolkit
from bench.layers.measure import Weighed
from bench.layers.table import lines
from bench.wrk import Peak


def middleware(app: object) -> list[str]:
    names = []
    while hasattr(app, "app"):
        names.append(type(app).__name__)
        app = app.app
    return [*names, type(app).__name__]


def test_the_toolkit_row_has_the_middleware_of_the_app_in_its_order(tmp_path: Path) -> None:
    shipped = create_app(Settings.from_environment({"DATA_DIR": str(tmp_path)}))

    assert middleware(toolkit.application) == [name for name in middleware(shipped) if name != "Lifespan"]


def test_a_ratio_is_taken_within_its_round() -> None:
    def weighed(microseconds: float) -> Weighed:
        return Weighed(Peak(1_000, 1, 0, 1, 1, 1, 1, 1), microseconds, (microseconds,), 0.5, 0.0)

    rounds = {"base": [weighed(10), weighed(30)], "row": [weighed(20), weighed(60)]}

    found = lines(rounds, "base", {"row": 0.6})[1]

    assert found.ratio.middle == 0.5
    assert found.reached == "NOT reached"
