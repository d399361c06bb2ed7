"""How long a verb waits: as long as TIMEOUT says, and no longer than makes sense. The clock is simulated."""

from collections.abc import Callable
from pathlib import Path

import pytest

from slipway.ops import instance, local_processes, readiness, wait
from slipway.ops.console import Failure
from slipway.ops.instance import Instance
from slipway.ops.local_processes import LocalProcesses
from slipway.ops.programs import Programs
from slipway.ops.settings import StackSettings
from slipway.ops.supervisor import ProgramState, Supervisor


class Clock:
    """A clock that advances only while something sleeps."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (wait, readiness):
        monkeypatch.setattr(module, "time", clock)
    return clock


def answering(monkeypatch: pytest.MonkeyPatch, clock: Clock, status: Callable[[float], int]) -> None:
    """Let the stack answer with a status that depends on the seconds since the start."""
    begun = clock.now
    monkeypatch.setattr(wait, "get", lambda url, host="", proxied=False: (status(clock.now - begun), None))


def settings(**variables: str) -> StackSettings:
    return StackSettings.of(variables, {})


@pytest.mark.parametrize("timeout", [5, 30, 120, 3_600])
def test_stack_that_is_ready_late(monkeypatch: pytest.MonkeyPatch, clock: Clock, timeout: int) -> None:
    """The wait covers an app that is ready just before TIMEOUT, and ends soon after TIMEOUT for one that never is."""
    seen = []
    monkeypatch.setattr(readiness, "await_ready", lambda *arguments: seen.append(arguments[2]))
    LocalProcesses(settings(TIMEOUT=str(timeout)), 20).await_ready()
    monkeypatch.undo()
    monkeypatch.setattr(readiness, "time", clock)

    assert seen == [timeout + local_processes.NGINX_SECONDS]
    answering(monkeypatch, clock, lambda seconds: 200 if seconds > timeout - 1 else 503)
    readiness.await_ready(settings(READY_PATH="/ready"), "http://127.0.0.1:1", seen[0])
    begun = clock.now
    answering(monkeypatch, clock, lambda seconds: 503)
    with pytest.raises(Failure, match="answers 503"):
        readiness.await_ready(settings(READY_PATH="/ready"), "http://127.0.0.1:1", seen[0])
    assert clock.now - begun == pytest.approx(seen[0], abs=1)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 421])
def test_constant_refusal(monkeypatch: pytest.MonkeyPatch, clock: Clock, status: int) -> None:
    """The same 4xx for five seconds ends the wait, with the setting that helps."""
    answering(monkeypatch, clock, lambda seconds: status)
    begun = clock.now
    with pytest.raises(Failure, match=f"answers {status}.*\n.*READY_"):
        readiness.await_ready(settings(READY_PATH="/ready"), "http://127.0.0.1:1", 600)

    assert 5 < clock.now - begun < 6


def test_refusal_that_changes(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """A 404 that does not last, as of an app that is starting, does not end the wait."""
    answering(
        monkeypatch, clock, lambda seconds: 404 if seconds % 6 < 3 and seconds < 60 else 503 if seconds < 60 else 200
    )
    begun = clock.now
    readiness.await_ready(settings(READY_PATH="/ready"), "http://127.0.0.1:1", 600)

    assert clock.now - begun > 59


@pytest.mark.parametrize("timeout", [5, 120])
def test_server_that_says_nothing(monkeypatch: pytest.MonkeyPatch, clock: Clock, tmp_path: Path, timeout: int) -> None:
    """A silent start is given TIMEOUT, which the message names; one that has ended is not waited for."""
    supervisor = Supervisor(tmp_path, tmp_path)
    server = Instance("app", supervisor, Programs(tmp_path, 20), settings(), tmp_path)
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "app.log").touch()
    state = {"app": ProgramState("app", "RUNNING", 1, 0, 1, "")}
    monkeypatch.setattr(supervisor, "states", lambda: state)
    begun = clock.now
    with pytest.raises(Failure, match=f"not ready after {timeout} s"):
        server.await_ready(timeout)
    assert timeout <= clock.now - begun <= timeout + instance.START_SECONDS + 1

    state["app"] = ProgramState("app", "BACKOFF", 0, 1, 1, "")
    begun = clock.now
    with pytest.raises(Failure):
        server.await_ready(timeout)
    assert clock.now - begun < 1
