"""nginx preempts no worker: as a batch process it waits for its turn, and then finds many requests."""

import os
from pathlib import Path

import pytest

from tests.harness.edge import Edge, Runner
from tests.harness.processes import children, running, short_folder

RUNNERS: list[Runner] = ["python", "sh"]


@pytest.mark.parametrize("runner", RUNNERS)
def test_nginx_waits_its_turn(runner: Runner) -> None:
    """All of nginx's processes use SCHED_BATCH; the one that reads its log does not, or the log would fill."""
    with short_folder() as folder, running(Edge(folder, runner=runner)) as edge:
        processes = [edge.master, *children(edge.master)]

        assert {os.sched_getscheduler(pid) for pid in processes} == {os.SCHED_BATCH}
        assert os.sched_getscheduler(edge.pid) == os.SCHED_OTHER


def test_system_that_does_not_let_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """nginx serves all the same where the system does not allow SCHED_BATCH."""
    (tmp_path / "chrt").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "chrt").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with short_folder() as folder, running(Edge(folder, runner="sh")) as edge:
        assert os.sched_getscheduler(edge.master) == os.SCHED_OTHER
