"""Child processes that have ended."""

import os
from collections.abc import Iterator


def ended() -> Iterator[tuple[int, int]]:
    """Yield the pid and wait status of each child that has ended since the last call."""
    while True:
        try:
            pid, wait_status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        yield pid, wait_status


def exit_code(wait_status: int) -> int:
    """Return the exit code, or the negative number of the signal that killed the child."""
    return os.waitstatus_to_exitcode(wait_status)
