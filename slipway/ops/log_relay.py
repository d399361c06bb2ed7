"""Passes nginx's log on to an output whose reader may stall. Standard library only."""

import os
import select
from collections import deque

from slipway.ops.log_lines import PIPE_BUF, pieces, record, wrapped

MAX_KEPT = 1 << 20  # bytes kept while the output is not read; about a second of full load
LAST_SECONDS = 2.0  # without progress at the end, after which the rest is lost


class Relay:
    """Copies the pipe to the output; a stalled output never keeps it from reading."""

    def __init__(self, source: int, output: int) -> None:
        self._source = source
        self._output = output
        self._rest = b""  # an incomplete line
        self._kept: deque[bytes] = deque()  # pieces that are not written yet
        self._size = 0
        self._dropped = 0

    def run(self) -> None:
        """Relay until the source has ended and all is written, or the output has not been read for LAST_SECONDS."""
        sources = [self._source]
        while sources or self._kept:
            seconds = None if sources else LAST_SECONDS
            readable, writable, _ = select.select(sources, [self._output] if self._kept else [], [], seconds)
            if not readable and not writable:
                return
            if readable and not self._read():
                sources.clear()
            if writable:
                self._write()

    def _read(self) -> bool:
        """Read available data; return False at the end of the source."""
        data = os.read(self._source, 1 << 16)
        whole, _, self._rest = (self._rest + data).rpartition(b"\n")
        if self._rest and (not data or len(self._rest) > PIPE_BUF):
            whole, self._rest = (whole + b"\n" if whole else b"") + self._rest, b""
        if whole:
            self._keep(wrapped(whole + b"\n"))
        return bool(data)

    def _keep(self, lines: bytes) -> None:
        if self._size + len(lines) > MAX_KEPT:
            self._dropped += lines.count(b"\n")
            return
        self._kept.extend(pieces(lines))
        self._size += len(lines)

    def _write(self) -> None:
        piece = self._kept.popleft()
        self._size -= len(piece)
        try:
            os.write(self._output, piece)
        except OSError:  # the reader is gone or the disk is full
            self._dropped += piece.count(b"\n")
            return
        if self._dropped and self._size < MAX_KEPT // 2:
            told, self._dropped = self._dropped, 0
            self._keep(record(b"nginx: [warn] %d records dropped: the log's output was not read" % told))
