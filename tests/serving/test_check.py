"""A command that a reload runs beside the server, and the message when it fails."""

import os
import time
from pathlib import Path

import pytest

from slipway.serving.check import Check
from slipway.serving.clock import RunningClock


def failure_of(command: list[str], seconds: float = 30, folder: str | None = None) -> str:
    """Run the command to its end, and return its failure."""
    clock = RunningClock()
    check = Check(command, folder, dict(os.environ), seconds, clock)
    while (failure := check.failure()) is None:
        clock.tick()
        time.sleep(0.02)
    return failure


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ([], ""),
        (["true"], ""),
        (["sh", "-c", "echo first; echo last; exit 3"], "last (exit code 3)"),
        (["sh", "-c", "exit 3"], "the check of the new code says nothing (exit code 3)"),
        (["no-such-program"], "[Errno 2] No such file or directory: 'no-such-program' (exit code 127)"),
        (["/etc/passwd"], "[Errno 13] Permission denied: '/etc/passwd' (exit code 127)"),
        (["sh", "-c", "kill -9 $$"], "the check of the new code says nothing (exit code -9)"),
    ],
)
def test_failure(command: list[str], said: str) -> None:
    """A failure is the command's last line and its exit code, and empty after a success."""
    assert failure_of(command) == said


def test_file_that_is_no_program(tmp_path: Path) -> None:
    """A file that is executable but no program is reported with the system's error."""
    text = tmp_path / "text"
    text.write_bytes(b"\0")
    text.chmod(0o755)

    assert "Exec format error" in failure_of([str(text)])


def test_command_that_hangs() -> None:
    """A command that hangs is reported, and ended with all processes that it started."""
    assert failure_of(["sleep", "60"], seconds=0.1) == "the check of the new code hangs: sleep 60"


def test_stack_of_a_command_that_hangs_is_the_only_one() -> None:
    """The process that runs the command writes no stack of its own into the output, where the two would be mixed up."""
    clock = RunningClock()
    check = Check(["sleep", "60"], None, dict(os.environ), 0.1, clock)
    while not check._aborted:
        assert check.failure() is None
        clock.tick()
        time.sleep(0.02)
    assert check._process is not None
    check._process.wait(5)

    assert os.fstat(check._output.fileno()).st_size == 0
    check.kill()


def test_folder_that_is_gone(tmp_path: Path) -> None:
    """A missing folder is reported with the system's reason."""
    assert "can't be started" in failure_of(["true"], folder=str(tmp_path / "gone"))
