"""The report: a table in the terminal, SVG files, one HTML page that holds them; built from a results folder alone."""

import html
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import plots
from bench.counters import app_mismatch
from bench.figures import Figures, Row, share_of_busiest
from bench.results import Results
from bench.workloads import BY_NAME

HEADINGS = ("workload", "against", "rate", "percentile", "ASGI ms", "other ms", "latency ratio", "latency", "CPU ratio",
            "holds the objective up to", "peak ratio (wrk)", "peak", "predicted")  # fmt: skip
CLEAR = 1.3  # a search is made once for each arm, so only a large difference counts
PAGE = Path(__file__).with_name("report.html")


def build(folder: Path, console: Console) -> None:
    """Write report.html and the plots, and print the table."""
    figures = Figures(Results(folder))
    rows = figures.rows()
    drawn = {}
    for name in figures.workloads():
        title, rates = BY_NAME[name].title, figures.common_rates(name)
        drawn[f"curve-{name}"] = plots.curve(figures, name, title, figures.about["objective"] + BY_NAME[name].own)
        if rates:
            drawn[f"percentiles-{name}"] = plots.percentiles(figures, name, title, rates[-1])
    drawn |= {"workers": plots.workers(figures), "memory": plots.memory(figures), "forest": plots.forest(rows)}
    for name, svg in drawn.items():
        (folder / f"{name}.svg").write_text(svg)
    (folder / "report.html").write_text(page(figures, rows, drawn))
    console.print(terminal(rows))
    for line in validity(figures):
        console.print(f"  {line}")
    console.print(f"  report: {folder / 'report.html'}")


def cells(row: Row) -> tuple[str, ...]:
    """One line of the verdict table."""
    return (
        row.title, row.other, f"{row.rate:.0f}/s", f"p{row.percent:g} (n = {row.n})",
        _number(row.ours), _number(row.theirs), str(row.latency), row.words, str(row.cpu), _held(row),
        "-" if math.isnan(row.peak.ratio) else str(row.peak), row.peak_words, f"{row.predicted}: {_hit(row)}",
    )  # fmt: skip


def terminal(rows: Iterable[Row]) -> Table:
    """The short form: what fits beside each other. The page holds the rest."""
    table = Table(title="ASGI against the others: same nginx, same number of workers, same database")
    for heading in ("workload", "against", "latency, ASGI / other", "ratio", "in words", "CPU ratio", "holds up to"):
        table.add_column(heading)
    for row in rows:
        both = f"{_number(row.ours)} / {_number(row.theirs)} ms, p{row.percent:g} at {row.rate:.0f}/s"
        table.add_row(row.title, row.other, both, str(row.latency), row.words, str(row.cpu), _held(row))
    return table


def validity(figures: Figures) -> list[str]:
    """Whether the figures may be believed."""
    verified = [f"{arm} ANSWERS OTHERWISE: {what}" for arm, found in figures.verified.items() for what in found]
    shares = {arm: share_of_busiest((run for run in figures.runs if run["arm"] == arm), figures.about["workers"])
              for arm in figures.arms()}  # fmt: skip
    balance = ", ".join(f"{arm} {share:.2f}" for arm, share in shares.items() if not math.isnan(share))
    lines = [
        *(verified or ["answers alike, byte for byte"]),
        f"{len(figures.void)} of {len(figures.runs)} runs void",
        f"most loaded worker against the mean: {balance}",
        f"most time stolen by the hypervisor: {max((run['stolen'] for run in figures.runs), default=0):.1%}",
    ]
    for name, counts in figures.visits.items():
        if problem := app_mismatch(counts["nginx"], counts["app"]):
            lines.append(f"{name}: {problem}")
    lines += [f"void: {run['label']}, {run['workload']}, {run['what']}: {run['void']}" for run in figures.void]
    lines += [f"drifts with time: {name}" for name in figures.drifting()]
    lines += [f"{arm}: {remark}" for arm, remark in figures.about["remarks"].items() if remark]
    return lines


def page(figures: Figures, rows: Sequence[Row], drawn: dict[str, str]) -> str:
    """The HTML page, whole in itself."""
    about = figures.about
    parts = {
        "TITLE": f"Benchmark of {about['begun']} ({about['mode']})",
        "VERDICT": html_table(HEADINGS, (cells(row) for row in rows)),
        "VALIDITY": "".join(f"<li>{html.escape(line)}</li>" for line in validity(figures)),
        "PLOTS": "".join(f"<figure>{_inline(drawn[name])}</figure>" for name in sorted(drawn, key=_order)),
        "LOCUST": html_table(("arm", "users", "rate", "p50", "p99", "uncorrected p99", "failures"), _locust(figures)),
        "PREDICTIONS": html_table(("workload", "expected", "because"), (
            (BY_NAME[name].title, told["winner"], told["reason"]) for name, told in about["predictions"].items()
        )),
        "MACHINE": html_table(("what", "value"), [*about["machine"].items(), *about["versions"].items(),
                              ("seed", about["seed"]), ("commit", about["commit"]), ("workers", about["workers"]),
                              ("processors of servers, generator", about["cpus"])]),
        "COMMANDS": html_table(("arm", "command"), about["commands"].items()),
        "NGINX": html.escape(about["nginx"]),
    }  # fmt: skip
    text = PAGE.read_text()
    for name, value in parts.items():
        text = text.replace(f"<!-- {name} -->", value)
    return text


def html_table(headings: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    head = "".join(f'<th scope="col">{html.escape(heading)}</th>' for heading in headings)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in line) + "</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def compare(a: Path, b: Path, console: Console) -> None:
    """What changed from A to B, arm by arm; the medians of the rounds and their spread."""
    from bench.compare import lines

    table = Table(title=f"{a.name} (A) and {b.name} (B)")
    for heading in ("workload", "arm", "figure", "A", "B", "B by A", "in words"):
        table.add_column(heading)
    for line in lines(Figures(Results(a)), Figures(Results(b))):
        table.add_row(*line)
    console.print(table)


def _locust(figures: Figures) -> Iterable[Sequence[object]]:
    from bench.histogram import Histogram

    for run in figures.of("locust", valid=False):
        found = run["locust"]
        for name, buckets in found.get("corrected", {}).items():
            both = Histogram(buckets), Histogram(found["uncorrected"][name])
            failures = sum(found["failures"].values())
            p50, p99, raw = both[0].percentile(50), both[0].percentile(99), both[1].percentile(99)
            yield run["arm"], name, f"{found['rate']:g}/s", p50, p99, raw, failures or run["void"] or 0


def _held(row: Row) -> str:
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


def _number(milliseconds: float) -> str:
    return "-" if math.isnan(milliseconds) else f"{milliseconds:.3g}"


def _order(name: str) -> tuple[bool, str]:
    return name != "forest", name


def _inline(svg: str) -> str:
    return svg[svg.index("<svg") :]
