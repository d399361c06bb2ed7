"""The stacks of a worker that a signal ended: faulthandler writes them to a file, the arbiter makes a record of it."""

import faulthandler
import logging
import tempfile
from typing import IO

log = logging.getLogger("gunicorn.error")


def opened(folder: str | None) -> IO[bytes] | None:
    """Return an unnamed file, made before the fork; None where there is no room for it."""
    try:
        return tempfile.TemporaryFile(buffering=0, dir=folder)
    except OSError:
        return None


def enable(file: IO[bytes] | None) -> None:
    """Have faulthandler write stacks into the file, or to stderr if there is none."""
    if file is None:
        faulthandler.enable()
    else:
        faulthandler.enable(file)


def report(file: IO[bytes] | None, pid: int) -> None:
    """Log the stacks that an ended worker has left, and close the file."""
    if file is None:
        return
    with file:
        file.seek(0)
        stacks = file.read().decode(errors="backslashreplace")
    if stacks:
        log.error("Worker (pid:%s) was ended by a signal at these stacks", pid, extra={"stacks": stacks})
