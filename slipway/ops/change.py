"""One change at a time: the verbs that change a folder's stack, such as `up` and `deploy`, exclude each other."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slipway.ops.console import Failure
from slipway.ops.folder import make_private

BUSY = 75  # EX_TEMPFAIL of sysexits.h: try again later


@contextmanager
def one_change(run_dir: Path, verb: str) -> Iterator[None]:
    """Hold the folder's lock; raise Failure with exit code 75, naming the holder, while another verb has it.

    The kernel releases it when the process ends in any way, so an interrupted change leaves no lock behind.
    """
    make_private(run_dir)
    lock = os.open(run_dir / "change.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock, 200).decode(errors="replace") or "another change"
            raise Failure(f"{holder} is under way here; `make {verb}` can begin when it has ended", BUSY) from None
        os.ftruncate(lock, 0)
        os.write(lock, f"`make {verb}` (process {os.getpid()}, since {time.strftime('%H:%M:%S')})".encode())
        yield
    finally:
        os.close(lock)
