"""`make status` names the part of the stack that does not run; both runtimes end with this report."""

import pytest

from slipway.ops import readiness
from slipway.ops.console import Failure
from slipway.ops.settings import StackSettings
from tests.harness.processes import free_ports

PARTS = {"app", "nginx", "db", "acme", "baseline", "baseline-nginx"}


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> StackSettings:
    """Settings of a stack with all parts, at whose port nothing listens."""
    for name, value in {"HTTP_PORT": str(free_ports()), "ACME_DOMAINS": "a.example", "BASELINE": "1"}.items():
        monkeypatch.setenv(name, value)
    return StackSettings.load()


@pytest.mark.parametrize("part", sorted(PARTS))
def test_part_that_does_not_run(settings: StackSettings, part: str) -> None:
    """The failure names the part alone."""
    with pytest.raises(Failure, match=f"slipway: {part} is stopped; `make up` starts it again"):
        readiness.report(settings, PARTS - {part}, ["db"])


def test_stack_that_is_not_ready(settings: StackSettings) -> None:
    """A stack whose parts all run, but whose ready path does not answer, is a failure, too."""
    with pytest.raises(Failure, match="the stack is not ready"):
        readiness.report(settings, PARTS, ["db"])
