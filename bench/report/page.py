"""The report's page: one self-contained HTML file."""

import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.run.workloads import BY_NAME

PAGE = Path(__file__).with_name("report.html")

Cells = tuple[Sequence[str], Iterable[Sequence[object]]]  # headings and lines


def page(about: dict[str, Any], verdict: Cells, single: Cells, doubts: Iterable[str], drawn: dict[str, str]) -> str:
    """Fill in the HTML template."""
    parts = {
        "TITLE": f"Benchmark of {about['begun']} ({about['mode']})",
        "VERDICT": html_table(*verdict),
        "VALIDITY": "".join(f"<li>{html.escape(line)}</li>" for line in doubts),
        "PLOTS": "".join(f"<figure>{_inline(drawn[name])}</figure>" for name in sorted(drawn, key=_order)),
        "ARMS": html_table(*single),
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
    """An HTML table of plain-text cells."""
    head = "".join(f'<th scope="col">{html.escape(heading)}</th>' for heading in headings)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in line) + "</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _order(name: str) -> tuple[bool, str]:
    return name != "forest", name


def _inline(svg: str) -> str:
    return svg[svg.index("<svg") :]
