"""The counts of a worker in shared memory are what its arbiter reads, also if there are more series than rows."""

import os
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from slipway.metrics import app_files, board, figures, layout
from slipway.metrics.app_files import AppFiles
from slipway.metrics.board import Board
from slipway.metrics.slots import SlotFigures


@pytest.fixture
def file() -> int:
    opened = board.opened()
    assert opened is not None
    return opened


def counted(file: int) -> dict[tuple[str, str, str], float]:
    return {name: sum(values[:-1]) for name, values in figures.read(file).series.items()}


@pytest.mark.parametrize(
    ("method", "route", "status", "expected"),
    [
        ("GET", "/a/{id}", 200, ("GET", "2xx", "/a/{id}")),
        ("GET", "", 499, ("GET", "4xx", "")),
        ("BREW", "/", 200, ("_OTHER", "2xx", "/")),
        ("GET", "/ü", 101, ("GET", "1xx", "/ü")),
        ("GET", "/a b", 599, ("GET", "5xx", "/a b")),
        ("GET", "/", 0, ("GET", "5xx", "/")),
        ("GET", "/", 999, ("GET", "5xx", "/")),
        ("GET", "/" * 1_000, 200, ("GET", "2xx", "/" * (layout.NAME_BYTES - 8))),
    ],
)
def test_series(file: int, method: str, route: str, status: int, expected: tuple[str, str, str]) -> None:
    """A request is counted under its method, its route and the class of its status."""
    ours = Board(file)
    ours.observe(method, route, status, 0.02)
    ours.observe(method, route, status, 20.0)

    assert counted(file) == {expected: 2}
    (values,) = figures.read(file).series.values()
    assert (values[2], values[-2], round(values[-1], 3)) == (1, 1, 20.02)


def test_more_than_fits(file: int) -> None:
    """An app with ever new routes fills only its own rows; the counts beyond them lose their names and nothing else."""
    ours = Board(file)
    for number in range(3 * layout.ROWS):
        ours.observe("GET", f"/{number}", 200, 0.001)
    found = counted(file)

    assert len(found) == layout.ROWS
    assert sum(found.values()) == 3 * layout.ROWS
    assert found["_OTHER", "5xx", "_OTHER"] > layout.ROWS


def test_without_memory_to_share() -> None:
    """Without shared memory a worker counts for itself."""
    ours = Board(None)
    ours.observe("GET", "/", 200, 0.001)
    ours.took(5)

    assert ours.figures[layout.BYTES_IN] == 5


def test_two_generations_of_a_slot(file: int) -> None:
    """Two overlapping generations of a slot both count; when one ends, its counters stay and its gauges go."""
    second = board.opened()
    assert second is not None
    slots = SlotFigures()
    slots.started("0", 2_000_001, file)
    slots.started("0", 2_000_002, second)
    for each in (file, second):
        ours = Board(each)
        ours.observe("GET", "/", 200, 0.001)
        ours.note(3, 2, 1)
    both = slots.by_label()["0"]
    slots.has_ended(2_000_001)
    one = slots.by_label()["0"]

    assert [sum(values[:-1]) for values in (*both.series.values(), *one.series.values())] == [2, 2]
    assert [found.single[layout.REQUESTS] for found in (both, one)] == [6, 3]
    assert one.single[layout.CPU] >= both.single[layout.CPU] > 0
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(file)


def test_durations_without_streams(file: int) -> None:
    """The app gets the durations of requests without streams, whose length depends on the client."""
    ours = Board(file)
    for seconds in (0.001, 0.003, 0.3):
        ours.observe("GET", "/", 200, seconds)
    ours.observe("GET", "/events", 200, 100.0)
    ours.streamed(100.0)
    counts = dict(zip((*layout.DURATIONS, float("inf")), ours.durations(), strict=True))

    assert {limit: count for limit, count in counts.items() if count} == {0.005: 2, 0.5: 1}


def test_reloads_are_told(file: int) -> None:
    """The arbiter writes the number of reloads into a worker's board without touching the worker's counts."""
    ours = Board(file)
    ours.observe("GET", "/", 200, 0.001)
    ours.note(3, 2, 1)
    board.tell_reloads(file, 7)

    assert ours.figures[layout.RELOADS] == 7
    assert counted(file) == {("GET", "2xx", "/"): 1}
    assert figures.read(file).single[layout.REQUESTS] == 3


def test_a_hundred_generations() -> None:
    """A hundred replacements leave a slot with the same series, complete counters, and no additional open files."""
    slots, before, sizes = SlotFigures(), descriptors(), []
    for number in range(100):
        file = board.opened()
        slots.started("0", 3_000_000 + number, file)
        Board(file).observe("GET", "/", 200, 0.001)
        slots.has_ended(3_000_000 + number)
        sizes.append(len(slots.by_label()["0"].series))
    (found,) = slots.by_label().values()

    assert {*sizes} == {1}
    assert sum(found.series["GET", "2xx", "/"][:-1]) == 100
    assert descriptors() <= before + 1


def descriptors() -> int:
    """Return the number of this process's open descriptors."""
    return len([*Path("/proc/self/fd").iterdir()])


def test_a_hundred_generations_of_an_app(monkeypatch: pytest.MonkeyPatch) -> None:
    """The metrics files of an app stay at one, and the counts of its ended processes are added up."""
    monkeypatch.delenv(app_files.VARIABLE, raising=False)
    theirs = AppFiles(f"test {os.getpid()}")
    theirs.begin()
    assert theirs.folder is not None
    key = mmap_key("orders", "orders_total", [], [], "Orders.")
    counts = set()
    try:
        for pid in range(3_000_000, 3_000_100):
            values: Any = MmapedDict(str(theirs.folder / f"counter_{pid}.db"))  # type: ignore[no-untyped-call]
            values.write_value(key, 2.0, 0.0)
            values.close()
            theirs.fold(pid)
            counts.add(len([*theirs.folder.iterdir()]))
        told = [sample.value for family in theirs.collect() for sample in family.samples]
    finally:
        theirs.end()

    assert counts == {1}
    assert told == [200.0]
