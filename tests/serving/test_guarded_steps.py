"""A step that raises is logged once for each kind of error, counted, and ends nothing."""

import logging
import os
import sys

import pytest

from slipway.serving.guarded_steps import CHILD_EXIT_CODE, GuardedSteps


def fail(error: BaseException) -> None:
    raise error


def test_each_kind_is_logged_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    """The traceback of each kind of error is logged once, and every failure is counted."""
    steps = GuardedSteps()
    logging.getLogger("gunicorn.error").propagate = True
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert steps.run("a step", fail, OSError(28, "full")) is None
            assert steps.run("a step", fail, ValueError("wrong")) is None

    assert steps.faults == {"a step: OSError": 3, "a step: ValueError": 3}
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert all(record.exc_info for record in caplog.records)


def test_result_is_handed_on() -> None:
    """The result of a step is returned."""
    assert GuardedSteps().run("a step", divmod, 7, 2) == (3, 1)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_ends_pass(error: BaseException) -> None:
    """SystemExit and KeyboardInterrupt are raised."""
    with pytest.raises(type(error)):
        GuardedSteps().run("a step", fail, error)


def test_forked_process_never_comes_back() -> None:
    """An error in a process forked by a step ends that process, so that it does not go on as a second arbiter."""
    steps = GuardedSteps()
    sys.stdout.flush()

    def fork() -> int:
        pid = os.fork()
        if pid == 0:
            raise OSError
        return pid

    pid = steps.run("forking", fork)

    assert pid is not None
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == CHILD_EXIT_CODE
