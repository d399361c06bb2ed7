"""The dashboard of deploy/prometheus/dashboard.json as a page of Prometheus itself, without Grafana.

A console template: https://prometheus.io/docs/visualization/consoles/. Each panel is a table of the current values of
its expressions, below a link to the graph of the first.
"""

import html
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

REFRESH_SECONDS = 5  # Prometheus's scrape interval
# Grafana's units, with the function of Prometheus's templates for each.
SHOWN = {"s": "humanizeDuration", "bytes": "humanize1024", "percentunit": "humanizePercentage"}
HEAD = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="{seconds}">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 1.5rem; }}
main {{ display: grid; gap: 1.5rem 2rem; grid-template-columns: repeat(auto-fill, minmax(18rem, 1fr)); }}
h2 {{ font-size: 1rem; margin: 0; }}
table {{ border-collapse: collapse; width: 100%; }}
td {{ border-top: 1px solid #8884; padding: .15rem 0; overflow-wrap: anywhere; }}
td:last-child {{ text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }}
</style>
<h1>{title}</h1>
<main>
"""


def write(board: Path, folder: Path, name: str) -> None:
    """Write a dashboard's page into the folder of templates."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(page(json.loads(board.read_text())))


def page(board: Mapping[str, Any]) -> str:
    """Return the console template of a dashboard."""
    head = HEAD.format(title=html.escape(board["title"]), seconds=REFRESH_SECONDS)
    return head + "".join(line for panel in board["panels"] for line in _panel(panel)) + "</main>\n</html>\n"


def _panel(panel: Mapping[str, Any]) -> Iterator[str]:
    expressions = [target["expr"] for target in panel["targets"]]
    graph = f"{{{{ graphLink `{expressions[0]}` }}}}"
    yield f'<section><h2><a href="{graph}">{html.escape(panel["title"])}</a></h2>\n<table>\n'
    shown = SHOWN.get(panel["fieldConfig"]["defaults"]["unit"], "humanize")
    for target in panel["targets"]:
        label = re.sub(r"\{\{(\w+)\}\}", r"{{ .Labels.\1 }}", target["legendFormat"])
        row = f"<tr><td>{label}</td><td>{{{{ .Value | {shown} }}}}</td></tr>"
        yield f"{{{{ range query `{target['expr']}` }}}}{row}{{{{ end }}}}\n"
    yield "</table></section>\n"
