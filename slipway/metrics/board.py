"""A worker's figures, in memory that the arbiter can read at any time, also after the worker's end.

A request costs two additions. Nothing is sent, so no count is late or lost, even if the worker is killed.
"""

import gc
import mmap
import os
import tempfile
import time
from array import array
from bisect import bisect_left
from contextlib import suppress

from slipway.logs import writer
from slipway.metrics import layout
from slipway.metrics.layout import DOUBLE, DURATIONS, FIGURES, NAME, NAME_BYTES, OTHER, ROW, ROWS, SUM

FASTEST = DURATIONS[0]

Key = tuple[str, str, int]


def opened() -> int | None:
    """Return a descriptor of memory for one worker, made before the fork; None where there is no room.

    The memory is reserved at once: later, a missing page would end the worker with SIGBUS.
    """
    file = None
    try:
        file = os.memfd_create("metrics") if hasattr(os, "memfd_create") else _file()
        os.posix_fallocate(file, 0, layout.SIZE)
    except OSError:
        if file is not None:
            os.close(file)
        return None
    return file


def tell_reloads(file: int, reloads: int) -> None:
    """Write the number of reloads into a worker's memory; called by the arbiter."""
    with suppress(OSError):
        os.pwrite(file, array("d", [reloads]).tobytes(), layout.RELOADS * DOUBLE)


def _file() -> int:
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class Board:
    """The figures of one worker, in shared memory, or in its own if there is none."""

    def __init__(self, file: int | None = None) -> None:
        memory = None
        if file is not None:
            with suppress(OSError, ValueError):
                memory = mmap.mmap(file, layout.SIZE)
        whole = memoryview(memory if memory is not None else array("d", bytes(layout.SIZE)))
        self._bytes = whole.cast("B")
        self._all = self._bytes.cast("d")
        self.figures = self._all[:FIGURES]
        self._series: dict[Key, memoryview[float]] = {}
        self._streams = [0.0] * SUM
        self._rest: memoryview[float] | None = None  # for new series when all rows are taken

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a finished request."""
        key = method, route, status // 100
        series = self._series.get(key) or self._find(key)
        series[bisect_left(DURATIONS, seconds) if seconds > FASTEST else 0] += 1  # most are below the first limit
        series[SUM] += seconds

    def lag(self, seconds: float) -> None:
        """Count one measurement of the event loop's lag."""
        self.figures[layout.LAG + bisect_left(layout.LAGS, seconds)] += 1
        self.figures[layout.LAG + len(layout.LAGS) + 1] += seconds

    def note(self, requests: int, streams: int, websockets: int) -> None:
        """Write the open requests, and the process's CPU time, dropped log lines and garbage collections so far."""
        figures = self.figures
        figures[layout.REQUESTS], figures[layout.STREAMS], figures[layout.WEBSOCKETS] = requests, streams, websockets
        figures[layout.CPU] = time.process_time()
        figures[layout.DROPPED] = writer.dropped()
        for number, generation in enumerate(gc.get_stats()[: layout.GENERATIONS]):
            figures[layout.COLLECTIONS + number] = generation["collections"]

    def streamed(self, seconds: float) -> None:
        """Mark an observed request as a stream, whose duration is up to its client."""
        self._streams[bisect_left(layout.DURATIONS, seconds)] += 1

    def durations(self) -> list[float]:
        """Return the number of requests for each bucket of layout.DURATIONS and above the last, without streams."""
        rows = range(FIGURES, FIGURES + int(self.figures[layout.USED]) * ROW, ROW)
        counts = (self._all[start + NAME : start + NAME + SUM] for start in rows)
        return [sum(bucket) - streams for streams, *bucket in zip(self._streams, *counts, strict=True)]

    def took(self, size: int) -> None:
        """Count a websocket message for the app."""
        self.figures[layout.MESSAGES_IN] += 1
        self.figures[layout.BYTES_IN] += size

    def gave(self, size: int) -> None:
        """Count a websocket message from the app."""
        self.figures[layout.MESSAGES_OUT] += 1
        self.figures[layout.BYTES_OUT] += size

    def _find(self, key: Key) -> "memoryview[float]":
        """Return the series of a new key. A worker has a bounded number of series."""
        method, route, kind = key
        named = method if method in layout.METHODS else OTHER, route, kind if 0 < kind < 6 else 5
        series = self._series.get(named)
        if series is None:
            series = self._new(named) or self._overflow()
            if len(self._series) < 2 * ROWS:
                self._series[named] = series
        if len(self._series) < 2 * ROWS:
            self._series[key] = series
        return series

    def _overflow(self) -> "memoryview[float]":
        if self._rest is None:
            self._rest = self._row(ROWS - 1, (OTHER, OTHER, 5))
        return self._rest

    def _new(self, key: Key) -> "memoryview[float] | None":
        used = int(self.figures[layout.USED])
        return self._row(used, key) if used < ROWS - 1 else None

    def _row(self, number: int, key: Key) -> "memoryview[float]":
        method, route, kind = key
        name = f"{method} {kind}xx {route}".encode(errors="replace")[:NAME_BYTES]
        start = FIGURES + number * ROW
        self._bytes[start * DOUBLE : start * DOUBLE + len(name)] = name
        self.figures[layout.USED] = number + 1  # last, since readers look at this many rows
        return self._all[start + NAME : start + ROW]
