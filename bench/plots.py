"""The pictures, as SVG text: light background, colours and marks that colour-blind readers can tell apart."""

import io
import math
from collections.abc import Sequence
from typing import Any

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.figures import Figures, Row
from bench.histogram import Histogram

STYLE: Any = {"svg.hashsalt": "slipway", "svg.fonttype": "path", "font.size": 10, "axes.grid": True, "grid.alpha": 0.3}
# Okabe and Ito's palette: https://jfly.uni-koeln.de/color/
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
MARKS = "os^Dvp*X"


def curve(figures: Figures, workload: str, title: str, objective: float) -> str:
    """Latency against the offered rate, with the generator's floor."""
    figure, axes = _new(f"{title}: latency against offered rate")
    for index, arm in enumerate(figures.arms()):
        points = figures.curve(workload, arm)
        rates = [point[0] for point in points]
        look: dict[str, Any] = {"color": COLOURS[index % 8], "marker": MARKS[index % 8]}
        axes.plot(rates, [point[2] for point in points], linestyle="-", label=f"{arm} p99", markersize=5, **look)
        axes.plot(rates, [point[1] for point in points], linestyle=":", label=f"{arm} p50", markersize=3, **look)
    floor = [(p["rate"], Histogram(p["result"]["corrected"].get("plaintext"))) for p in figures.floor.get("points", [])]
    floor_points = [(rate, h.percentile(99)) for rate, h in floor if len(h)]
    axes.plot(*_columns(floor_points), color="grey", linestyle="--", label="generator against nginx alone, p99")
    axes.axhline(objective, color="black", linewidth=0.8, linestyle="-.", label=f"objective {objective:g} ms")
    axes.set(xscale="log", yscale="log", xlabel="requests per second offered", ylabel="ms from the intended start")
    axes.legend(fontsize=7)
    return _svg(figure)


def percentiles(figures: Figures, workload: str, title: str, rate: float) -> str:
    """The whole distribution at the common rate, as HdrHistogram draws it; uncorrected dotted."""
    figure, axes = _new(f"{title}: all percentiles at {rate:.0f} requests/s")
    for index, arm in enumerate(figures.arms()):
        for key, line in (("corrected", "-"), ("uncorrected", ":")):
            histogram = figures.latencies(workload, arm, rate, key)
            points = [(1 / share, value) for share, value in histogram.curve() if share > 0]
            axes.step(
                *_columns(points), linestyle=line, color=COLOURS[index % 8], where="post",
                label=f"{arm}, n = {len(histogram)}" if key == "corrected" else None,
            )  # fmt: skip
    axes.set(xscale="log", yscale="log", ylabel="ms", xlabel="percentile (dotted: from the real start)")
    ticks = [1, 2, 10, 100, 1_000, 10_000]
    axes.set_xticks(ticks, ["0", "50", "90", "99", "99.9", "99.99"])
    axes.minorticks_off()
    axes.legend(fontsize=7)
    return _svg(figure)


def workers(figures: Figures) -> str:
    """Requests per worker: what each socket was given."""
    figure, axes = _new("requests per worker, share of all")
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
    return _svg(figure)


def memory(figures: Figures) -> str:
    """Memory of a connection that waits."""
    figure, axes = _new("memory of a waiting connection in the workers, KiB")
    runs = figures.of("idle", valid=False)
    names = [f"{run['arm']}\n{run['kind']}" for run in runs]
    bars = axes.barh(names, [max(0.0, run["kib"]) for run in runs], color=COLOURS[0])
    axes.bar_label(bars, fmt="%.1f", padding=3)
    axes.invert_yaxis()
    return _svg(figure)


def forest(rows: Sequence[Row]) -> str:
    """ASGI's latency by the other's, with the interval and the noise floor, for every workload."""
    figure, axes = _new(
        "latency at a common rate, ASGI by the other (left of 1: ASGI is faster)", height=1 + 0.4 * len(rows)
    )
    for position, row in enumerate(rows):
        colour = {
            "ASGI better": COLOURS[0],
            "asgi better": COLOURS[0],
            "other better": COLOURS[1],
            "WSGI better": COLOURS[1],
        }.get(row.words, "grey")
        axes.fill_betweenx(
            [position - 0.35, position + 0.35], 1 / (1 + row.floor), 1 + row.floor, color="grey", alpha=0.15
        )
        if not math.isnan(row.latency.ratio):
            axes.plot([row.latency.low, row.latency.high], [position] * 2, color=colour, linewidth=2)
            axes.plot(row.latency.ratio, position, marker="o", color=colour)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [f"{row.title}, p{row.percent:g}, {row.other}, {row.rate:.0f}/s" for row in rows])
    axes.set(xscale="log", xlabel="ratio, 95 % interval; grey: an arm against itself")
    axes.invert_yaxis()
    return _svg(figure)


def _new(title: str, height: float = 4.0) -> tuple[Figure, Axes]:
    plt.rcParams.update(STYLE)
    figure, axes = plt.subplots(figsize=(8, height), layout="constrained")
    figure.suptitle(title, fontsize=11)
    return figure, axes


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None}, facecolor="white")
    plt.close(figure)
    return buffer.getvalue()
