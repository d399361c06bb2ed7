"""What a worker tells its arbiter beside its heartbeat: a file without a name that both have open.

Empty, or `REPLACE_ME` alone: all is well. Of a worker that never was ready it says why, of one that has ended why that
was no clean end.
"""

import logging
from typing import IO

REPLACE_ME = b"replace me"
REASON_BYTES = 500


def leave(note: IO[bytes], reason: str) -> None:
    """Put a reason in one line in place of an earlier note."""
    note.seek(0)
    note.truncate()
    note.write(" ".join(reason.split()).encode()[:REASON_BYTES])


class FirstError(logging.Handler):
    """Keeps the first error of a startup; the arbiter passes it on to the caller of a reload."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info and record.exc_info[1]
        self.text = self.text or (f"{type(error).__name__}: {error}" if error else record.getMessage())
