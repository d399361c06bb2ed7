"""A reload without gunicorn: its steps, and what it does when one of them raises."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.serving.check import Check
from slipway.serving.clock import RunningClock
from slipway.serving.handover import Handover, Report
from slipway.serving.mailbox import Mailbox
from slipway.serving.reload import RefusedError, Reload
from slipway.serving.result import summary
from slipway.serving.roster import Roster, WorkerState
from slipway.serving.settings import ServerSettings
from slipway.serving.status import Status
from slipway.serving.worker_table import WorkerRow

reports: list[Report] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Close all reports after a test."""
    yield
    while reports:
        reports.pop().close()


def worker(pid: int) -> WorkerState:
    reports.append(Report(None))
    handover = Handover(0, (), (), None, reports[-1], Mailbox(admitted=True), WorkerRow(-1, 0), None)
    return WorkerState(pid, pid, handover, None, lambda: 0.0, 0.0, 0.0)


class Fake:
    """A server whose workers are ready at once; `fails` names a step that raises."""

    timeout = 5.0
    num_workers = 2

    def __init__(self, fails: str = "") -> None:
        self.clock = RunningClock()
        self.roster = Roster()
        self.fails = fails
        self.done: list[str] = []
        for pid in (1, 2):
            self.roster.add(worker(pid))
            for state in self.roster:
                state.ready_at = 0.0

    def _did(self, step: str) -> None:
        self.done.append(step)
        if step == self.fails:
            raise ZeroDivisionError("on purpose")

    def new_checks(self) -> list[Check]:
        self._did("checks")
        return [Check([], None, {}, 1, self.clock)]

    def take_configuration(self) -> None:
        self._did("take")

    def restore_configuration(self) -> None:
        self._did("restore")

    def start_successor(self, predecessor: WorkerState) -> WorkerState | None:
        self._did(f"replace {predecessor.pid}")
        state = worker(predecessor.pid + 10)
        state.ready_at = 1.0
        self.roster.remove(predecessor.pid)
        self.roster.add(state)
        return state

    def resize(self) -> None:
        self._did("resize")


@pytest.fixture
def status(tmp_path: Path) -> Iterator[Status]:
    yield Status(
        ServerSettings.from_environment({"WEB_CONCURRENCY": "2", "SOCKET_DIR": str(tmp_path), "INSTANCE": "app"})
    )


def run(server: Fake, status: Status) -> Reload:
    reload = Reload(server, status, 1)
    for _ in range(50):
        if reload.ended:
            break
        reload.step()
    return reload


def test_steps_in_order(status: Status) -> None:
    """A reload checks, takes the configuration, replaces the workers one after the other, and resizes."""
    server = Fake()
    run(server, status)

    assert server.done == ["checks", "take", "replace 1", "replace 2", "resize"]
    assert status.last_reload["state"] == "done"
    assert status.last_reload["replaced"] == 2


@pytest.mark.parametrize("step", ["checks", "take", "replace 1", "replace 2", "resize"])
def test_any_error_is_a_refusal(status: Status, step: str) -> None:
    """Whichever step raises, the earlier configuration is restored, and the reload ends as refused."""
    server = Fake(step)
    run(server, status)

    assert server.done[-1] == "restore"
    assert status.last_reload["state"] == "refused"
    assert "ZeroDivisionError: on purpose" in status.last_reload["reason"]


def test_reload_ends_even_if_nothing_can_be_restored(status: Status) -> None:
    """A reload ends even if the configuration can't be restored, so that the next one can begin."""
    server = Fake("restore")
    server.take_configuration = lambda: (_ for _ in ()).throw(RefusedError("no"))  # type: ignore[method-assign]

    assert run(server, status).ended
    assert status.last_reload["reason"] == "no"


def test_summary() -> None:
    """The summary has the result in words."""
    assert summary(1, []) == "1 worker replaced"
    assert summary(3, ["exit code 7", "exit code 7"]) == "3 workers replaced, 2 did not end cleanly: exit code 7"
