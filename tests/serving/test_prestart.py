"""The command that runs before the workers start."""

import sys
from collections.abc import Sequence

import pytest

from slipway.serving import prestart


@pytest.mark.parametrize("words", [("python", "-m", "yours"), ["python", "-m", "yours"]], ids=["tuple", "list"])
def test_python_is_the_interpreter_of_the_server(words: Sequence[str]) -> None:
    """`python` is the interpreter that runs gunicorn, which has the app's packages, not the first one on the path."""
    assert prestart.command(words) == [sys.executable, "-m", "yours"]


@pytest.mark.parametrize("words", [(), ("sh", "-c", "true"), ("python3", "x.py")])
def test_other_commands_stay_as_they_are(words: Sequence[str]) -> None:
    """Any other program is unchanged, and is found on the path."""
    assert prestart.command(words) == [*words]
