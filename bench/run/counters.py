"""Client, nginx and app must have counted the same requests; a run where they did not is void."""

import json
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

RUN = re.compile(r"[?&]run=(\d+)")
COUNTS = "BENCH_COUNTS"  # the variable that names the folder of the workers' counts
UNANSWERED = (499, 502, 504)  # the client or nginx gave up, perhaps before a worker had taken the request
READY_PROBES = 5  # readiness checks, which nginx does not log


@dataclass(slots=True)
class Seen:
    """What nginx's log says of one run."""

    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    workers: Counter[str] = field(default_factory=Counter)  # by the upstream's name


@dataclass(slots=True)
class Passed:
    """What nginx passed on to the app; of what stayed without the app's answer, the app may not know."""

    requests: int = 0
    unanswered: int = 0


def nginx_counts(log: Path) -> tuple[dict[int, Seen], Passed]:
    """Requests by the number of their run, and all that were passed on to the app."""
    runs: dict[int, Seen] = {}
    passed = Passed()
    for line in log.read_text(errors="replace").splitlines() if log.exists() else ():
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # the error log, or a line that is not whole
        upstream, status = entry.get("upstream") or "-", int(entry.get("status", 0))
        passed.requests += upstream != "-"
        passed.unanswered += upstream != "-" and status in UNANSWERED
        found = RUN.search(entry.get("uri", ""))
        if found:
            seen = runs.setdefault(int(found[1]), Seen())
            seen.requests += 1
            seen.statuses[status] += 1
            seen.workers[Path(upstream.rpartition(":")[2]).stem] += 1
    return runs, passed


def mismatch(sent: int, seen: int, *, open_at_end: int) -> str | None:
    """A closed load cuts what is under way at its end: nginx may have counted so many more, and nothing else."""
    return None if sent <= seen <= sent + open_at_end else f"the client sent {sent} requests, nginx saw {seen}"


def leave(count: int) -> None:
    """Called in a worker at its end: keep what it has counted, where the runner looks for it."""
    (Path(os.environ[COUNTS]) / str(os.getpid())).write_text(str(count))


def left(folder: Path, workers: int) -> int | None:
    """The sum over all workers; None if one of them left nothing."""
    counts = [int(path.read_text()) for path in folder.iterdir()]
    return sum(counts) if len(counts) == workers else None


def app_mismatch(passed: int, counted: int | None, unanswered: int = 0) -> str | None:
    """The app must have counted what nginx passed on, and the few readiness checks that nginx does not log."""
    if counted is None:
        return "not every worker left its count"
    alike = -unanswered <= counted - passed <= READY_PROBES
    return None if alike else f"nginx passed {passed} requests on, the app counted {counted}"


def imbalance(workers: Counter[str], count: int) -> float:
    """The most loaded worker's share against the mean; NaN where the workers share a socket and nginx can't tell."""
    if len(workers) < 2 or not workers.total():
        return float("nan")
    return max(workers.values()) / (workers.total() / count)
