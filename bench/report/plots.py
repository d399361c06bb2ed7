"""The plots of the report, as SVG text."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bench.figures.comparisons import Comparison
from bench.figures.figures import Figures
from bench.figures.stats import band
from bench.figures.summaries import ArmSummary
from bench.report.drawing import COLOURS, MARKS, columns, height, intervals, logarithmic, new, svg
from bench.run.workloads import BY_NAME

CANT_BE_TOLD, FLOOR = "#6b6b6b", "#dcdcdc"


def curve(figures: Figures, workload: str, title: str, objective: float) -> str:
    """Latency against the offered rate, with the generator's floor."""
    figure, axes = new(f"{title}: latency against offered rate")
    curves = {arm: figures.curve(workload, arm) for arm in figures.arms()}
    for index, (arm, points) in enumerate(curves.items()):
        rates = [point[0] for point in points]
        look: dict[str, Any] = {"color": COLOURS[index % 8], "marker": MARKS[index % 8]}
        axes.plot(rates, [point[2] for point in points], linestyle="-", label=f"{arm} p99", markersize=5, **look)
        axes.plot(rates, [point[1] for point in points], linestyle=":", label=f"{arm} p50", markersize=3, **look)
    axes.plot(*columns(figures.ceiling()), color="grey", linestyle="--", label="generator against nginx alone, p99")
    axes.axhline(objective, color="black", linewidth=0.8, linestyle="-.", label=f"objective {objective:g} ms")
    axes.set(xlabel="requests per second offered", ylabel="ms from the scheduled start")
    logarithmic(axes, any(curves.values()))
    axes.legend(fontsize=9)
    return svg(figure)


def percentiles(figures: Figures, workload: str, title: str, rate: float) -> str:
    """The distribution at the common rate, as HdrHistogram plots it; uncorrected dotted."""
    figure, axes = new(f"{title}: all percentiles at {rate:.0f} requests/s")
    measured = False
    for index, arm in enumerate(figures.arms()):
        for key, line in (("corrected", "-"), ("uncorrected", ":")):
            histogram = figures.latencies(workload, arm, rate, key)
            points = [(1 / share, value) for share, value in histogram.curve() if share > 0]
            measured = measured or bool(points)
            axes.step(
                *columns(points), linestyle=line, color=COLOURS[index % 8], where="post",
                label=f"{arm}, n = {len(histogram)}" if key == "corrected" else None,
            )  # fmt: skip
    axes.set(ylabel="ms", xlabel="percentile (dotted: from the actual start)")
    logarithmic(axes, measured)
    if measured:
        axes.set_xticks([1, 2, 10, 100, 1_000, 10_000], ["0", "50", "90", "99", "99.9", "99.99"])
        axes.minorticks_off()
    axes.legend(fontsize=9)
    return svg(figure)


def workers(figures: Figures) -> str:
    """The share of requests per worker."""
    figure, axes = new("requests per worker, share of all")
    names = []
    for position, arm in enumerate(figures.arms()):
        total: dict[str, int] = {}
        for run in figures.runs:
            if run["arm"] == arm:
                for worker, count in run["workers"].items():
                    total[worker] = total.get(worker, 0) + count
        start = 0.0
        for index, worker in enumerate(sorted(total)):
            width = total[worker] / sum(total.values())
            axes.barh(position, width, left=start, color=COLOURS[index % 8], edgecolor="white")
            axes.text(start + width / 2, position, f"{width:.1%}", ha="center", va="center", color="white", fontsize=8)
            start += width
        names.append(arm)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    return svg(figure)


def memory(single: Sequence[ArmSummary]) -> str:
    """The memory of an idle connection."""
    figure, axes = new("memory of an idle connection in the workers, KiB", height(single))
    kinds = [f"{one.label}, {BY_NAME[one.workload].waiting}" for one in single]
    intervals(axes, kinds, [one.kib for one in single], COLOURS[0], "all workers, median and interval of the rounds")
    axes.set_xlim(left=min(0.0, axes.get_xlim()[0]))
    figure.legend(loc="outside lower center", fontsize=9)
    return svg(figure)


def latencies(single: Sequence[ArmSummary]) -> str:
    """p50 and p99 of the workloads that locust drives."""
    figure, axes = new("websockets and event streams, ms from the scheduled start", height(single))
    names = [f"{one.title}, {one.label}, {one.rate:.0f}/s" for one in single]
    intervals(axes, names, [one.p50 for one in single], COLOURS[0], "p50, median and interval of the rounds")
    intervals(axes, names, [one.p99 for one in single], COLOURS[1], "p99")
    if any(one.n for one in single):
        axes.set_xscale("log")
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    return svg(figure)


def forest(rows: Sequence[Comparison]) -> str:
    """The latency ratio of the first arm to the others, with interval and noise floor, for every workload."""
    figure, axes = new("latency at a common rate, ASGI / other (left of 1: ASGI is faster)", height(rows))
    least = min((row.latency.low for row in rows if row.latency.low > 0), default=0.1)  # the axis has no zero
    for position, row in enumerate(rows):
        colour = CANT_BE_TOLD
        if row.verdict.endswith(" better"):
            colour = COLOURS[0] if row.latency.middle < 1 else COLOURS[1]
        low, high = band(row.floor)
        axes.fill_betweenx([position - 0.35, position + 0.35], max(low, least), high, color=FLOOR)
        if not math.isnan(row.latency.middle):
            axes.plot([row.latency.low, row.latency.high], [position] * 2, color=colour, linewidth=2)
            axes.plot(row.latency.middle, position, marker="o", color=colour)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [f"{row.title}, p{row.percent:g}, {row.other}, {row.rate:.0f}/s" for row in rows])
    axes.set(xscale="log", xlabel="ratio, with its interval over the rounds")
    ticks = [
        tick for tick in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20) if axes.get_xlim()[0] <= tick <= axes.get_xlim()[1]
    ]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.invert_yaxis()
    _legend(figure)
    return svg(figure)


def _legend(figure: Figure) -> None:
    """Draw the legend of the forest plot below it, where it hides no line."""
    look: dict[str, Any] = {"marker": "o", "linewidth": 2}
    figure.legend(
        handles=[
            Line2D([], [], color=COLOURS[0], label="ASGI is faster", **look),
            Line2D([], [], color=COLOURS[1], label="the other is faster", **look),
            Line2D([], [], color=CANT_BE_TOLD, label="can't be told", **look),
            Patch(color=FLOOR, label="noise floor: ASGI against itself"),
        ],
        loc="outside lower center",
        ncols=2,
        fontsize=10,
    )
