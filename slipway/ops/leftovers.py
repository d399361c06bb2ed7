"""The processes of a stack whose supervisor was killed, found by a variable in the environment that they inherited."""

import os
import select
import signal
import time
from contextlib import suppress
from pathlib import Path

MARK = "SLIPWAY_RUN_DIR"  # inherited by every program that supervisor starts


def leftovers(run_dir: Path) -> list[int]:
    """Return the pids of the stack that writes below `run_dir`, in ascending order."""
    mark = os.fsencode(f"{MARK}={run_dir}")
    return sorted(
        int(folder.name)
        for folder in Path("/proc").glob("[0-9]*")
        if int(folder.name) != os.getpid() and mark in _environment(folder)
    )


def commands(run_dir: Path) -> list[str]:
    """Return the command lines of the stack's processes."""
    found = []
    for pid in leftovers(run_dir):
        with suppress(OSError):
            found.append(os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()))
    return found


def end(run_dir: Path, seconds: float) -> bool:
    """Send SIGTERM to the topmost processes, SIGKILL to those left after `seconds`; return whether none were left."""
    found = leftovers(run_dir)
    for pid in found:
        if _parent(pid) not in found:
            _signal(run_dir, pid, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while (left := leftovers(run_dir)) and time.monotonic() < deadline:
        _await(left[0], deadline)
    for pid in left:
        _signal(run_dir, pid, signal.SIGKILL)
    return not left


def _signal(run_dir: Path, pid: int, number: signal.Signals) -> None:
    """Send a signal by pidfd, since the pid may be reused between the check and the signal."""
    with suppress(ProcessLookupError):
        process = os.pidfd_open(pid)
        try:
            if pid in leftovers(run_dir):
                signal.pidfd_send_signal(process, number)
        finally:
            os.close(process)


def _await(pid: int, deadline: float) -> None:
    with suppress(ProcessLookupError):
        process = os.pidfd_open(pid)
        try:
            select.select([process], [], [], max(0.0, deadline - time.monotonic()))
        finally:
            os.close(process)


def _environment(folder: Path) -> list[bytes]:
    with suppress(OSError):  # another user's process, or one that has ended
        return (folder / "environ").read_bytes().split(b"\0")
    return []


def _parent(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0
