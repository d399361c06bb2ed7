"""The one way of a process to its log: one list of lines for all that log in it, from its start to its very end."""

import atexit
import os
import sys

from slipway.logs.batches import Writer
from slipway.logs.output import Output


def _stdout() -> int | None:
    """Its descriptor; None when the process was started without one, since the number may be another file's by now."""
    return None if sys.__stdout__ is None else sys.__stdout__.fileno()


# One for the life of the process: whatever logs in it, at whatever moment, has to go through the same list.
_writer = Writer(Output(_stdout()))
os.register_at_fork(after_in_child=_writer.reset)
atexit.register(_writer.end)

write = _writer.write
write_later = _writer.write_later
flush = _writer.flush
redirect = _writer.redirect
render = _writer.render


def dropped() -> int:
    """How many lines this process has lost."""
    return _writer.dropped
