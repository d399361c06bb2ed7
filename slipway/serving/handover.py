"""The objects that the arbiter gives a worker before the fork, as its one attribute `handover`."""

import os
import socket
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from slipway.serving.mailbox import Mailbox
from slipway.serving.slots import Loans
from slipway.serving.worker_table import WorkerRow

MOST_REPORT_BYTES = 500


class Report:
    """An unnamed file for the reason of a worker's failure; the arbiter reads it after the worker's end."""

    def __init__(self, folder: str | None) -> None:
        self._file = tempfile.TemporaryFile(buffering=0, dir=folder)  # noqa: SIM115 (closed after the worker's end)

    def write(self, reason: str) -> None:
        """Write a reason in one line, in place of an earlier one; errors such as a full disk are ignored."""
        line = " ".join(reason.split()).encode(errors="replace")
        with suppress(OSError, ValueError):
            os.ftruncate(self._file.fileno(), 0)
            os.pwrite(self._file.fileno(), line[:MOST_REPORT_BYTES], 0)

    def read(self) -> str:
        """Return the reason; empty if the worker has left none."""
        return os.pread(self._file.fileno(), MOST_REPORT_BYTES, 0).decode(errors="replace").strip("\0\n ")

    def close(self) -> None:
        self._file.close()


@dataclass(frozen=True, slots=True)
class Handover:
    """The worker's slot, its listeners and its channels to the arbiter."""

    slot: int | None  # None: all workers share the listeners
    own: Sequence[socket.socket]  # the listeners that it serves
    listeners: Sequence[socket.socket]  # all listeners, for slots on loan
    loans: Loans | None
    report: Report
    mailbox: Mailbox
    row: WorkerRow  # in the table of workers
    stacks: IO[bytes] | None  # to which a blocked worker writes its stacks
    board: int | None = None  # a descriptor of the memory for its metrics
