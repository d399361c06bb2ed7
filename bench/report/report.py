"""The report: a table in the terminal, SVG files, one HTML page that holds them; built from a results folder alone."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.figures.figures import Figures
from bench.figures.results import Results
from bench.figures.rows import Alone, Row, alone, verdicts
from bench.figures.stats import short
from bench.figures.validity import validity
from bench.report import plots
from bench.report.page import page
from bench.run.workloads import BY_NAME

HEADINGS = ("workload", "against", "rate", "percentile", "ASGI ms", "other ms", "latency ratio", "latency", "CPU ratio",
            "holds the objective up to", "peak ratio (wrk)", "peak", "peaks limited by", "predicted")  # fmt: skip
HEADINGS_ALONE = ("workload", "arm", "rate", "n", "p50 ms", "p99 ms", "p99 from the real start", "KiB per connection",
                  "failed")  # fmt: skip
CLEAR = 1.3  # a search is made once for each arm, so only a large difference counts


def build(folder: Path, console: Console) -> None:
    """Write report.html and the plots, and print the tables."""
    figures = Figures(Results(folder))
    rows, single = verdicts(figures), alone(figures)
    drawn = pictures(figures, rows, single)
    for name, svg in drawn.items():
        (folder / f"{name}.svg").write_text(svg)
    doubts = validity(figures, single)
    tables = (HEADINGS, map(cells, rows)), (HEADINGS_ALONE, map(cells_alone, single))
    (folder / "report.html").write_text(page(figures.about, *tables, doubts, drawn))
    console.print(terminal(rows))
    if sockets := [one for one in single if BY_NAME[one.workload].asgi_only]:
        console.print(terminal_alone(sockets))
    for line in [*doubts, f"report: {folder / 'report.html'}"]:
        console.print(f"  {line}", markup=False)


def pictures(figures: Figures, rows: Sequence[Row], single: Sequence[Alone]) -> dict[str, str]:
    """Every plot by the name of its file."""
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


def cells(row: Row) -> tuple[str, ...]:
    """One line of the verdict table."""
    return (
        row.title, row.other, f"{row.rate:.0f}/s", f"p{row.percent:g} (n = {row.n})",
        short(row.ours), short(row.theirs), str(row.latency), row.words, str(row.cpu), _held(row),
        str(row.peak), row.peak_words, " and ".join(row.peak_limits),
        f"{row.predicted}: {_hit(row)}" if row.predicted else "-",
    )  # fmt: skip


def terminal(rows: Iterable[Row]) -> Table:
    """The short form: what fits beside each other. The page holds the rest."""
    table = Table(title="ASGI against the others: same nginx, same number of workers, same database")
    for heading in ("workload", "against", "latency, ASGI / other", "ratio", "in words", "CPU ratio", "holds up to"):
        table.add_column(heading)
    for row in rows:
        both = f"{short(row.ours)} / {short(row.theirs)} ms, p{row.percent:g} at {row.rate:.0f}/s"
        table.add_row(row.title, row.other, both, str(row.latency), row.words, str(row.cpu), _held(row))
    return table


def cells_alone(one: Alone) -> tuple[str, ...]:
    """One line of the table of the arms by themselves."""
    return (
        one.title, one.label, f"{one.rate:.0f}/s", str(one.n), str(one.p50), str(one.p99), str(one.uncorrected),
        str(one.kib), one.failed() or "0",
    )  # fmt: skip


def terminal_alone(single: Iterable[Alone]) -> Table:
    """What WSGI has no counterpart of."""
    table = Table(title="Websockets and event streams, which WSGI has not: median of the rounds (interval)")
    for heading in HEADINGS_ALONE:
        table.add_column(heading)
    for one in single:
        table.add_row(*cells_alone(one))
    return table


def compare(a: Path, b: Path, console: Console) -> None:
    """What changed from A to B, arm by arm; the medians of the rounds and their spread."""
    from bench.report.compare import lines

    table = Table(title=f"{a.name} (A) and {b.name} (B)")
    for heading in ("workload", "arm", "figure", "A", "B", "B by A", "in words", "at"):
        table.add_column(heading)
    for line in lines(Figures(Results(a)), Figures(Results(b))):
        table.add_row(*line)
    console.print(table)


def _held(row: Row) -> str:
    if math.isnan(row.sustainable[0]):
        return "-"  # measured at a fixed rate
    held = [
        f"{'≥ ' if limited else ''}{rate:.0f}/s" for rate, limited in zip(row.sustainable, row.limited, strict=True)
    ]
    return " and ".join(held)


def _hit(row: Row) -> str:
    """Whether one of latency, peak and sustainable rate went as predicted, and none the other way."""
    seen = {"ASGI better": "asgi", "WSGI better": "wsgi", "no measurable difference": "tie"}
    found = {seen[words] for words in (row.words, row.peak_words) if words in seen}
    ours, theirs = row.sustainable
    if ours > CLEAR * theirs or theirs > CLEAR * ours:
        found.add("asgi" if ours > theirs else "wsgi")
    if found > {"tie"}:
        found.discard("tie")
    if not found:
        return "open"
    return "hit" if found == {row.predicted} else "missed" if row.predicted not in found else "in part"
