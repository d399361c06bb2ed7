"""The settings of the middleware: their defaults, and the messages about wrong values."""

import pytest

from slipway.environment import SettingError
from slipway.middleware.settings import GuardSettings
from slipway.project import Project


def test_defaults() -> None:
    """Every setting has a default."""
    settings = GuardSettings.from_environment({})

    assert (settings.max_requests_in_flight, settings.max_streams, settings.max_websockets) == (2_000, 10_000, 10_000)
    assert settings.access_log
    assert settings.health_paths == {*Project.read().health_paths}


def test_empty_is_not_set() -> None:
    """An empty variable counts as unset, since compose files pass such variables."""
    names = ["MAX_REQUESTS_IN_FLIGHT", "MAX_STREAMS", "MAX_WEBSOCKETS", "ACCESS_LOG", "READY_PATH"]

    assert GuardSettings.from_environment(dict.fromkeys(names, " ")) == GuardSettings.from_environment({})


def test_values() -> None:
    """Values are read as their types; a project's own ready path is an additional health path."""
    settings = GuardSettings.from_environment({"MAX_STREAMS": "3", "ACCESS_LOG": "no", "READY_PATH": "/ping"})

    assert (settings.max_streams, settings.access_log) == (3, False)
    assert settings.health_paths == {*Project.read().health_paths, "/ping"}


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("MAX_REQUESTS_IN_FLIGHT", "-1", "a whole number from 1 to 1000000"),
        ("MAX_STREAMS", "0", "a whole number from 1 to 1000000"),
        ("MAX_WEBSOCKETS", "many", "a whole number from 1 to 1000000"),
        ("ACCESS_LOG", "maybe", "1 or 0"),
        ("READY_PATH", "readyz", "a path such as /readyz"),
        ("READY_PATH", "/a b", "a path such as /readyz"),
        ("READY_PATH", "/a?b", "a path such as /readyz"),
        ("READY_PATH", "/ä", "a path such as /readyz"),
    ],
)
def test_wrong_value(name: str, value: str, allowed: str) -> None:
    """A wrong value ends the start with one line: the variable, the value and what is allowed."""
    with pytest.raises(SettingError) as caught:
        GuardSettings.from_environment({name: value})

    line = str(caught.value)
    assert line.startswith(f"{name}={value!r} is not allowed: ")
    assert allowed in line
