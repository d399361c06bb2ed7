"""The table of workers: rows are assigned, written, read and reused."""

import os
from pathlib import Path

from slipway.middleware.counts import KINDS, Counts
from slipway.serving.worker_table import ROW, WorkerRow, WorkerTable, read


def counts(total: int, requests: int = 0, streams: int = 0, websockets: int = 0) -> Counts:
    opened = dict(zip(KINDS, (requests, streams, websockets), strict=True))
    return Counts({}, total, {kind: {Opened(kind): None for _ in range(size)} for kind, size in opened.items()})


class Opened:
    """An open request, stream or websocket."""

    started = 0.0

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def become_stream(self) -> bool:
        return False


def test_rows_are_read_by_slot() -> None:
    """A row has pid, slot and counts; workers without a slot come first, and empty rows are left out."""
    table = WorkerTable(None)
    rows: list[WorkerRow] = []
    for pid, slot, total in ((11, 1, 5_000_000_000), (12, None, 1), (13, 0, 2)):
        rows.append(table.new_row(rows))
        rows[-1].write(pid, slot, counts(total, 1, 2, 3))
    table.new_row(rows)

    opened = {"requests": 1, "streams": 2, "websockets": 3}
    assert read(Path(table.path)) == [
        {"slot": None, "pid": 12, "requests": 1, "open": opened},
        {"slot": 0, "pid": 13, "requests": 2, "open": opened},
        {"slot": 1, "pid": 11, "requests": 5_000_000_000, "open": opened},
    ]


def test_row_of_one_that_has_ended_is_given_again() -> None:
    """The row of an ended worker is reused, so that the table has as many rows as workers lived at the same time."""
    table = WorkerTable(None)
    first, second = table.new_row([]), table.new_row([WorkerRow(0, 0)])
    first.write(11, 0, counts(1))
    second.write(12, 1, counts(1))
    first.clear()

    assert [row["pid"] for row in read(Path(table.path))] == [12]
    assert table.new_row([second]).number == first.number
    assert Path(table.path).stat().st_size == 2 * ROW.size


def test_row_that_can_not_be_written() -> None:
    """A write that fails does not end the worker."""
    reader, writer = os.pipe()  # a pipe has no positions
    WorkerRow(writer, 0).write(1, None, counts(1))
    os.close(reader)
    os.close(writer)


def test_table_that_is_gone() -> None:
    """The table of an arbiter that has ended is empty."""
    assert read(Path("/proc/0/fd/0")) == []
