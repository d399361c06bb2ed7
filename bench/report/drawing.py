"""Drawing of plots: light background, colours and markers that colour-blind readers can tell apart."""

import io
from collections.abc import Sequence
from typing import Any

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.figures.stats import Interval

STYLE: Any = {"svg.hashsalt": "slipway", "svg.fonttype": "path", "font.size": 10, "axes.grid": True, "grid.alpha": 0.3}
# Okabe and Ito's palette: https://jfly.uni-koeln.de/color/
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
MARKS = "os^Dvp*X"


def new(title: str, inches: float = 4.0) -> tuple[Figure, Axes]:
    """An empty plot."""
    plt.rcParams.update(STYLE)
    figure, axes = plt.subplots(figsize=(8, inches), layout="constrained")
    figure.suptitle(title, fontsize=11)
    return figure, axes


def height(lines: Sequence[object]) -> float:
    """The height in inches for a plot of these lines."""
    return 1.2 + 0.4 * len(lines)


def intervals(axes: Axes, names: Sequence[str], intervals: Sequence[Interval], colour: str, label: str) -> None:
    """Draw one line for each name: the median and the interval."""
    for position, one in enumerate(intervals):
        axes.plot([one.low, one.high], [position] * 2, color=colour, linewidth=2)
        axes.plot(one.middle, position, marker="o", color=colour, label=None if position else label)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)


def logarithmic(axes: Axes, measured: bool) -> None:
    """Scale both axes logarithmically, which needs values above 0; without values say so."""
    if measured:
        axes.set(xscale="log", yscale="log")
    else:
        axes.text(0.5, 0.5, "no valid run", ha="center", transform=axes.transAxes)


def columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Points as two columns, as matplotlib takes them."""
    return [x for x, _ in points], [y for _, y in points]


def svg(figure: Figure) -> str:
    """The plot as SVG text, the same for the same figures."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None}, facecolor="white")
    plt.close(figure)
    return buffer.getvalue()
