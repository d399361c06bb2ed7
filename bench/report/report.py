"""The report, built from a results folder alone: terminal tables, SVG files and one HTML page."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.figures.figures import Figures
from bench.figures.results import Results
from bench.figures.rows import ArmSummary, Comparison, comparisons, summaries
from bench.figures.stats import short
from bench.figures.validity import validity
from bench.report import plots
from bench.report.page import page
from bench.run.arms import ASGI_ARMS
from bench.run.workloads import BY_NAME

HEADINGS = ("workload", "against", "rate", "percentile", "ASGI ms", "other ms", "latency ratio", "latency", "CPU ratio",
            "holds the objective up to", "peak ratio (wrk)", "peak", "peaks limited by", "predicted")  # fmt: skip
HEADINGS_SUMMARY = ("workload", "arm", "rate", "n", "p50 ms", "p99 ms", "p99 from the actual start",
                    "KiB per connection", "failed")  # fmt: skip
CLEAR = 1.3  # each arm is searched once, so only a large difference counts


def figures_of(folder: Path) -> Figures:
    """The figures of a results folder."""
    return Figures(Results(folder), BY_NAME, ASGI_ARMS)


def build(folder: Path, console: Console) -> None:
    """Write report.html and the plots, and print the tables."""
    figures = figures_of(folder)
    rows, single = comparisons(figures), summaries(figures)
    drawn = plot_all(figures, rows, single)
    for name, svg in drawn.items():
        (folder / f"{name}.svg").write_text(svg)
    doubts = validity(figures, single)
    tables = (HEADINGS, map(cells, rows)), (HEADINGS_SUMMARY, map(summary_cells, single))
    (folder / "report.html").write_text(page(figures.about, *tables, doubts, drawn))
    console.print(comparison_table(rows))
    if sockets := [one for one in single if BY_NAME[one.workload].asgi_only]:
        console.print(summary_table(sockets))
    for line in [*doubts, f"report: {folder / 'report.html'}"]:
        console.print(f"  {line}", markup=False)


def plot_all(figures: Figures, rows: Sequence[Comparison], single: Sequence[ArmSummary]) -> dict[str, str]:
    """All plots, by file name."""
    drawn = {"forest": plots.forest(rows), "workers": plots.workers(figures)}
    for name in figures.searched():
        work = BY_NAME[name]
        drawn[f"curve-{name}"] = plots.curve(figures, name, work.title, figures.about["objective"] + work.own)
    for name in figures.workloads():
        for rate in figures.common_rates(name)[-1:]:
            drawn[f"percentiles-{name}"] = plots.percentiles(figures, name, BY_NAME[name].title, rate)
    if waiting := [one for one in single if BY_NAME[one.workload].waiting]:
        drawn["memory"] = plots.memory(waiting)
    if sockets := [one for one in single if BY_NAME[one.workload].by_locust]:
        drawn["sockets"] = plots.latencies(sockets)
    return drawn


def cells(row: Comparison) -> tuple[str, ...]:
    """One row of the verdict table."""
    return (
        row.title, row.other, f"{row.rate:.0f}/s", f"p{row.percent:g} (n = {row.n})",
        short(row.base_ms), short(row.other_ms), str(row.latency), row.verdict, str(row.cpu), _held(row),
        str(row.peak), row.peak_verdict, " and ".join(row.peak_limits),
        f"{row.predicted}: {_hit(row)}" if row.predicted else "-",
    )  # fmt: skip


def comparison_table(rows: Iterable[Comparison]) -> Table:
    """The verdict table with the columns that fit into a terminal; the page has all."""
    table = Table(title="ASGI against the others: same nginx, same number of workers, same database")
    for heading in ("workload", "against", "latency, ASGI / other", "ratio", "in words", "CPU ratio", "holds up to"):
        table.add_column(heading)
    for row in rows:
        both = f"{short(row.base_ms)} / {short(row.other_ms)} ms, p{row.percent:g} at {row.rate:.0f}/s"
        table.add_row(row.title, row.other, both, str(row.latency), row.verdict, str(row.cpu), _held(row))
    return table


def summary_cells(one: ArmSummary) -> tuple[str, ...]:
    """One row of the table of single arms."""
    return (
        one.title, one.label, f"{one.rate:.0f}/s", str(one.n), str(one.p50), str(one.p99), str(one.uncorrected),
        str(one.kib), one.failed() or "0",
    )  # fmt: skip


def summary_table(single: Iterable[ArmSummary]) -> Table:
    """The table of websockets and event streams."""
    table = Table(title="Websockets and event streams (ASGI only): median of the rounds (interval)")
    for heading in HEADINGS_SUMMARY:
        table.add_column(heading)
    for one in single:
        table.add_row(*summary_cells(one))
    return table


def _held(row: Comparison) -> str:
    if math.isnan(row.sustainable[0]):
        return "-"  # measured at a fixed rate
    held = [
        f"{'≥ ' if limited else ''}{rate:.0f}/s" for rate, limited in zip(row.sustainable, row.limited, strict=True)
    ]
    return " and ".join(held)


def _hit(row: Comparison) -> str:
    """Whether latency, peak and sustainable rate agree with the prediction."""
    seen = {"ASGI better": "asgi", "WSGI better": "wsgi", "no measurable difference": "tie"}
    found = {seen[words] for words in (row.verdict, row.peak_verdict) if words in seen}
    base, other = row.sustainable
    if base > CLEAR * other or other > CLEAR * base:
        found.add("asgi" if base > other else "wsgi")
    if found > {"tie"}:
        found.discard("tie")
    if not found:
        return "open"
    return "hit" if found == {row.predicted} else "missed" if row.predicted not in found else "in part"
