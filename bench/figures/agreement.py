"""Whether client, nginx and app counted the same requests, and how evenly the workers were loaded."""

from collections import Counter

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


def imbalance(workers: Counter[str], count: int) -> float:
    """The most loaded worker's share against the mean; NaN where workers share a socket and nginx sees one upstream."""
    if len(workers) < 2 or not workers.total():
        return float("nan")
    return max(workers.values()) / (workers.total() / count)
