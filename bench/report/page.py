"""The report's page: one self-contained HTML file."""

import html
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.run.workloads import BY_NAME

FIRST = "forest"  # the picture that opens the page
PAGE = Path(__file__).with_name("report.html")

Cells = tuple[Sequence[str], Sequence[Sequence[object]]]  # headings and lines
NO_DATA = {"", "-", "nan"}


def page(
    about: dict[str, Any],
    told: Iterable[str],
    tables: Mapping[str, Cells],
    doubts: Iterable[str],
    drawn: dict[str, str],
) -> str:
    """Fill in the HTML template."""
    parts = {
        "TITLE": f"Benchmark of {_moment(about['begun'])} ({about['mode']})",
        "SENTENCES": "".join(f"<li>{html.escape(sentence)}</li>" for sentence in told),
        "PICTURE": _figure(drawn, FIRST) if FIRST in drawn else "",
        **{name: html_table(*with_data(*cells)) for name, cells in tables.items()},
        "VALIDITY": "".join(f"<li>{html.escape(line)}</li>" for line in doubts),
        "PLOTS": "".join(_figure(drawn, name) for name in sorted(drawn) if name != FIRST),
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


def with_data(headings: Sequence[str], lines: Sequence[Sequence[object]]) -> Cells:
    """Return the table without columns that are empty in every line."""
    kept = [number for number in range(len(headings)) if any(str(line[number]) not in NO_DATA for line in lines)]
    return [headings[number] for number in kept], [[line[number] for number in kept] for line in lines]


def html_table(headings: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """Return an HTML table of plain-text cells; without columns, a paragraph that says so."""
    if not headings:
        return "<p>Not measured in this run.</p>"
    head = "".join(f'<th scope="col">{html.escape(heading)}</th>' for heading in headings)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in line) + "</tr>" for line in lines)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _moment(begun: str) -> str:
    """Return a folder's name, 2026-01-31-235900, as date and time."""
    return f"{begun[:10]}, {begun[11:13]}:{begun[13:15]} UTC"


def _figure(drawn: Mapping[str, str], name: str) -> str:
    svg = drawn[name]
    return f"<figure>{svg[svg.index('<svg') :]}</figure>"
