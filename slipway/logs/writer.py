"""The log of a process: all its lines go through one list, from its start to its exit."""

import atexit
import os
import sys

from slipway.logs.batches import Writer
from slipway.logs.output import Output


def _stdout() -> int | None:
    """Return its descriptor; None if the process was started without it, since 1 may be another file by now."""
    return None if sys.__stdout__ is None else sys.__stdout__.fileno()


# One for the life of the process, since all its lines must go through the same list.
_writer = Writer(Output(_stdout()))
os.register_at_fork(after_in_child=_writer.reset)
atexit.register(_writer.end)

write = _writer.write
write_later = _writer.write_later
flush = _writer.flush
redirect = _writer.redirect
render = _writer.render


def dropped() -> int:
    """Return the number of lines that this process has lost."""
    return _writer.dropped
