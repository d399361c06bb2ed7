"""A replacement for sys.stdout or sys.stderr whose lines become records."""

import io
import threading
from typing import TYPE_CHECKING

from slipway.logs import lines
from slipway.logs.writer import write

MAX_PART = 1024 * 1024  # bytes; an unfinished line that is longer becomes a record

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Stream(io.RawIOBase):
    """A file that makes a record of each line; blank ones are left out."""

    def __init__(self, level: str, logger: str, descriptor: int | None) -> None:
        self._level = level
        self.logger = logger
        self._descriptor = descriptor
        self._lock = threading.RLock()
        self._part = bytearray()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        """Return the descriptor of the replaced stream: subprocess and faulthandler ask for it."""
        if self._descriptor is None:
            raise io.UnsupportedOperation("fileno")
        return self._descriptor

    def write(self, data: "ReadableBuffer", /) -> int:
        with memoryview(data) as view:
            said = view.tobytes()
        with self._lock:
            *whole, rest = said.split(b"\n")
            for line in whole:
                self._part += line
                self.end_line()
            self._part += rest
            if len(self._part) > MAX_PART:
                self.end_line()
        return len(said)

    @property
    def has_part(self) -> bool:
        """Whether a line has begun."""
        return bool(self._part)

    def end_line(self) -> None:
        """Make a record of the line so far."""
        with self._lock:
            message = self._part.decode(errors="backslashreplace").rstrip("\r")
            self._part.clear()
        if message.strip():
            write(lines.record(self._level, self.logger, message))

    def forget(self) -> None:
        """Drop an unfinished line in a forked process: the parent completes it."""
        self._lock = threading.RLock()
        self._part.clear()
