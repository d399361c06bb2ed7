"""The table of workers: a row for each process, which its heartbeat writes and other programs read.

It is an unnamed file, in memory where possible, like gunicorn's own heartbeat files: requests pay nothing for it, a
busy disk blocks nothing, and no file is left behind. `python -m slipway.serving.ctl status` finds it through the
arbiter's descriptor.
"""

import os
import struct
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from slipway.middleware.counts import REQUEST, STREAM, WEBSOCKET, Counts

ROW = struct.Struct("=iiQIII")  # pid (0: no worker), slot (-1: none), total, and the open ones of each kind


@dataclass(slots=True)
class WorkerRow:
    """A worker's place in the table."""

    file: int
    number: int

    def write(self, pid: int, slot: int | None, counts: Counts) -> None:
        """Write the worker's total, and its open requests, streams and websockets."""
        open_now = counts.open
        opened = open_now[REQUEST], open_now[STREAM], open_now[WEBSOCKET]
        data = ROW.pack(pid, -1 if slot is None else slot, counts.total, *opened)
        self._put(data)

    def clear(self) -> None:
        """Empty the row, since the worker has ended."""
        self._put(bytes(ROW.size))

    def _put(self, data: bytes) -> None:
        with suppress(OSError):  # a full disk costs the figures, not the heartbeat
            os.pwrite(self.file, data, self.number * ROW.size)


class WorkerTable:
    """The arbiter's side: gives each worker a row before the fork."""

    def __init__(self, folder: str | None) -> None:
        with tempfile.TemporaryFile(dir=folder) as file:
            self._file = os.dup(file.fileno())  # lives as long as the arbiter
        self.path = f"/proc/{os.getpid()}/fd/{self._file}"

    def new_row(self, taken: Iterable[WorkerRow]) -> WorkerRow:
        """Return the first row that is not taken, emptied."""
        numbers = {row.number for row in taken}
        row = WorkerRow(self._file, next(number for number in count() if number not in numbers))
        row.clear()
        return row


def read(path: Path) -> list[dict[str, Any]]:
    """Return the rows of all workers, by slot and pid; empty where the file can't be read."""
    try:
        data = path.read_bytes()
    except OSError:
        return []
    rows = ROW.iter_unpack(data[: len(data) // ROW.size * ROW.size])
    return [_shown(*row) for row in sorted(rows, key=lambda row: (row[1], row[0])) if row[0]]


def _shown(pid: int, slot: int, total: int, requests: int, streams: int, websockets: int) -> dict[str, Any]:
    opened = {"requests": requests, "streams": streams, "websockets": websockets}
    return {"slot": None if slot < 0 else slot, "pid": pid, "requests": total, "open": opened}
