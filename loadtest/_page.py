"""A tab on locust's page with both latencies, while the test runs."""

from typing import Any

from flask import Response, request
from flask.json import dumps
from locust.env import Environment

from loadtest._record import PERCENTILES, percentile, record

KEY = "latency"
SHARES = [(f"p{share * 100:g}", share) for share in PERCENTILES]
COLUMNS = [
    {"key": "name", "title": "Name"},
    {"key": "count", "title": "# answered"},
    *({"key": f"corrected_{name}", "title": f"{name} from the intended start (ms)"} for name, _ in SHARES),
    *({"key": f"uncorrected_{name}", "title": f"{name} from the real start (ms)"} for name, _ in SHARES),
]


def add(environment: Environment) -> None:
    """Add the tab if there is a page."""
    if environment.web_ui is None or environment.web_ui.app is None:
        return
    environment.web_ui.template_args |= {
        "extended_tabs": [{"title": "Latency", "key": KEY}],
        "extended_tables": [{"key": KEY, "structure": COLUMNS}],
    }
    environment.web_ui.app.after_request(_extend)


def rows() -> list[dict[str, Any]]:
    """Return one row for each request's name."""
    return [
        {
            "name": name,
            "safe_name": name,
            "count": histogram.total(),
            **{f"corrected_{label}": percentile(histogram, share) for label, share in SHARES},
            **{f"uncorrected_{label}": percentile(record.uncorrected[name], share) for label, share in SHARES},
        }
        for name, histogram in sorted(record.corrected.items())
    ]


def _extend(response: Response) -> Response:
    if request.path == "/stats/requests" and response.is_json:
        response.set_data(dumps({**response.get_json(), "extended_stats": [{"key": KEY, "data": rows()}]}))
    return response
