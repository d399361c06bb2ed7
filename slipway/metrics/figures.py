"""Reads boards and adds them up, so that a slot's counters continue when its worker is replaced or killed."""

import os
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field

from slipway.metrics import layout
from slipway.metrics.layout import COUNTERS_END, DOUBLE, FIGURES, NAME, NAME_BYTES, ROW, VALUES

Series = tuple[str, str, str]  # method, status class, route


@dataclass(slots=True)
class WorkerFigures:
    """The figures of one worker or the sum of several."""

    single: list[float] = field(default_factory=lambda: [0.0] * FIGURES)
    series: dict[Series, list[float]] = field(default_factory=dict)

    def add(self, other: "WorkerFigures") -> None:
        """Add another's counters and gauges."""
        self.single = [ours + theirs for ours, theirs in zip(self.single, other.single, strict=True)]
        for name, values in other.series.items():
            before = self.series.get(name)
            self.series[name] = [*values] if before is None else [a + b for a, b in zip(before, values, strict=True)]

    def close(self) -> None:
        """Zero the gauges: the worker's open requests have ended with it."""
        self.single[COUNTERS_END:] = [0.0] * (FIGURES - COUNTERS_END)


def read(file: int) -> WorkerFigures:
    """Return the current figures of a board."""
    data = os.pread(file, layout.SIZE, 0)
    values = array("d", data)
    found = WorkerFigures([*values[:FIGURES]])
    for number in range(min(int(values[layout.USED]), layout.ROWS)):
        start = FIGURES + number * ROW
        name = data[start * DOUBLE : start * DOUBLE + NAME_BYTES].rstrip(b"\0").decode(errors="replace")
        method, _, rest = name.partition(" ")
        kind, _, route = rest.partition(" ")
        if method:
            found.series[method, kind, route] = [*values[start + NAME : start + NAME + VALUES]]
    return found


def total(all_figures: Iterable[WorkerFigures]) -> WorkerFigures:
    """Return the sum of all figures."""
    result = WorkerFigures()
    for each in all_figures:
        result.add(each)
    return result
