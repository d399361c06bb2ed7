"""Whether client, nginx and app counted the same requests, and how evenly the workers were loaded."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

LEAST_IN_FLIGHT, MOST_IN_FLIGHT = 0.7, 1.05  # of the connections: nginx's durations leave out the client's own part
READY_PROBES = 5  # readiness checks, which nginx does not log


def mismatch(sent: int, seen: int, *, open_at_end: int) -> str | None:
    """Compare the client's count with nginx's; None if they agree.

    A closed load aborts its open requests at the end, so nginx may have counted up to `open_at_end` more.
    """
    return None if sent <= seen <= sent + open_at_end else f"the client sent {sent} requests, nginx saw {seen}"


def app_mismatch(passed: int, counted: int | None, unanswered: int = 0) -> str | None:
    """Compare nginx's count of proxied requests with the app's, which includes readiness checks; None if they agree."""
    if counted is None:
        return "not every worker left its count"
    alike = -unanswered <= counted - passed <= READY_PROBES
    return None if alike else f"nginx passed {passed} requests on, the app counted {counted}"


def in_flight(run: Mapping[str, Any]) -> float:
    """How many requests of a closed load were under way on average, by Little's law; NaN where it was not measured."""
    seconds = run.get("seconds") or 0
    return float(run["nginx_seconds"]) / seconds if seconds and "nginx_seconds" in run else math.nan


def breaks_littles_law(run: Mapping[str, Any]) -> str | None:
    """Whether rate and durations contradict the number of connections, each of which has one request under way."""
    found, connections = in_flight(run), run["open"]
    if math.isnan(found) or LEAST_IN_FLIGHT * connections <= found <= MOST_IN_FLIGHT * connections:
        return None
    return f"{connections} connections, but {found:.1f} requests under way by rate and duration"


def imbalance(workers: Counter[str], count: int) -> float:
    """The most loaded worker's share against the mean; NaN where workers share a socket and nginx sees one upstream."""
    if len(workers) < 2 or not workers.total():
        return float("nan")
    return max(workers.values()) / (workers.total() / count)
