"""The report, built from a results folder alone: terminal tables, SVG files and one HTML page."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bench.figures.comparisons import Comparison, at_highest_rate, comparisons
from bench.figures.figures import Figures
from bench.figures.results import Results
from bench.figures.stats import short
from bench.figures.summaries import ArmSummary, QuietArm, quiet, summaries
from bench.figures.validity import validity
from bench.report import plots
from bench.report.page import page
from bench.report.sentences import sentences
from bench.run.arms import ASGI_ARMS
from bench.run.workloads import BY_NAME

HEADINGS = ("workload", "against", "rate", "percentile", "ASGI ms", "other ms", "latency ratio", "latency", "CPU ratio",
            "holds the objective up to", "peak ratio (wrk)", "peak", "peaks limited by", "predicted")  # fmt: skip
HEADINGS_SUMMARY = ("workload", "arm", "rate", "n", "p50 ms", "p99 ms", "p99 from the actual start",
                    "KiB per connection", "failed")  # fmt: skip
HEADINGS_QUIET = ("arm", "asked nothing", "asked 10 times a second")
PLAIN: Any = {"box": SIMPLE_HEAD, "padding": (0, 0), "pad_edge": False}  # as narrow as possible
ALONE = "The app is measured by itself; make bench-compare A=… B=… shows what a change has done."
LONGEST_WORD = 11  # characters, in the names of workloads and in verdicts
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
    told = list(sentences(rows, figures.arms()[0])) or [ALONE]
    tables = {
        "VERDICT": (HEADINGS, [cells(row) for row in rows]),
        "QUIET": (HEADINGS_QUIET, [quiet_cells(one) for one in quiet(figures)]),
        "ARMS": (HEADINGS_SUMMARY, [summary_cells(one) for one in single]),
    }
    (folder / "report.html").write_text(page(figures.about, told, tables, doubts, drawn))
    for sentence in told:
        console.print(sentence, markup=False, soft_wrap=True)
    console.print(comparison_table(rows) if rows else summary_table("By itself", single))
    if idle := quiet(figures):
        console.print(quiet_table(idle))
    if sockets := [one for one in single if BY_NAME[one.workload].asgi_only]:
        console.print(summary_table("Websockets and event streams (ASGI only)", sockets))
    for line in [*doubts, f"report: {folder / 'report.html'}"]:
        console.print(f"  {line}", markup=False, soft_wrap=True)


def plot_all(figures: Figures, rows: Sequence[Comparison], single: Sequence[ArmSummary]) -> dict[str, str]:
    """All plots, by file name."""
    drawn = {"workers": plots.workers(figures), **({"forest": plots.forest(at_highest_rate(rows))} if rows else {})}
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
        str(row.base_ms), str(row.other_ms), str(row.latency), row.verdict, str(row.cpu), _held(row),
        str(row.peak), row.peak_verdict, row.peaks_limited_by(),
        f"{row.predicted}: {_hit(row)}" if row.predicted else "-",
    )  # fmt: skip


def comparison_table(rows: Iterable[Comparison]) -> Table:
    """The verdict table, with the columns that fit into 100 characters; the page has all."""
    table = Table(title="ASGI against the others: same nginx, same number of workers, same database", **PLAIN)
    for heading in ("workload", "against", "at", "ms", "ASGI / other", "in words", "CPU"):
        wraps = heading in ("workload", "in words")
        table.add_column(heading, no_wrap=not wraps, min_width=LONGEST_WORD if wraps else None)
    for row in rows:
        at = f"{row.rate:.0f}/s, p{row.percent:g}"
        both = f"{short(row.base_ms.middle)} / {short(row.other_ms.middle)}"
        table.add_row(row.title, row.other, at, both, str(row.latency), row.verdict, short(row.cpu.middle))
    return table


def quiet_cells(one: QuietArm) -> tuple[str, ...]:
    """One row of the table of idle arms."""
    return (one.label, *(f"{share:.2%}" for _, share in sorted(one.shares.items())))


def quiet_table(idle: Iterable[QuietArm]) -> Table:
    """The CPU time of idle and nearly idle arms."""
    table = Table(title="CPU time of app and nginx, of one processor", **PLAIN)
    for heading in HEADINGS_QUIET:
        table.add_column(heading)
    for one in idle:
        table.add_row(*quiet_cells(one))
    return table


def summary_cells(one: ArmSummary) -> tuple[str, ...]:
    """One row of the table of single arms."""
    return (
        one.title, one.label, f"{one.rate:.0f}/s", str(one.n), str(one.p50), str(one.p99), str(one.uncorrected),
        str(one.kib), one.failed() or "0",
    )  # fmt: skip


def summary_table(what: str, single: Iterable[ArmSummary]) -> Table:
    """The table of arms by themselves: websockets and event streams, or an app without a WSGI twin."""
    table = Table(title=f"{what}: median of the rounds (interval)", **PLAIN)
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
