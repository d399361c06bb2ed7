"""The requests counted by nginx and by the app's workers, for the comparison with the client's count."""

import json
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

RUN = re.compile(r"[?&]run=(\d+)")
COUNTS = "BENCH_COUNTS"  # environment variable: the folder of the workers' counts
STARTED = ".started"
UNANSWERED = (499, 502, 504)  # client or nginx gave up, possibly before a worker accepted the request


@dataclass(slots=True)
class LoggedRun:
    """The requests of one run in nginx's log."""

    requests: int = 0
    seconds: float = 0.0  # of all requests together
    statuses: Counter[int] = field(default_factory=Counter)
    workers: Counter[str] = field(default_factory=Counter)  # by the upstream's name


@dataclass(slots=True)
class Proxied:
    """The requests that nginx passed to the app; the app may not have counted the unanswered ones."""

    requests: int = 0
    unanswered: int = 0


def nginx_counts(log: Path) -> tuple[dict[int, LoggedRun], Proxied]:
    """The requests by number of their run, and all requests passed to the app."""
    runs: dict[int, LoggedRun] = {}
    passed = Proxied()
    for line in log.read_text(errors="replace").splitlines() if log.exists() else ():
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # a line of the error log, or an incomplete line
        upstream, status = entry.get("upstream") or "-", int(entry.get("status", 0))
        passed.requests += upstream != "-"
        passed.unanswered += upstream != "-" and status in UNANSWERED
        found = RUN.search(entry.get("path", ""))
        if found:
            run = runs.setdefault(int(found[1]), LoggedRun())
            run.requests += 1
            run.seconds += float(entry.get("duration") or 0)
            run.statuses[status] += 1
            run.workers[Path(upstream.rpartition(":")[2]).stem] += 1
    return runs, passed


def save_count(count: int) -> None:
    """Write the worker's count into the folder named by COUNTS; called at the worker's end."""
    (Path(os.environ[COUNTS]) / str(os.getpid())).write_text(str(count))


def save_start() -> None:
    """Mark the worker as started, in the same folder."""
    (Path(os.environ[COUNTS]) / f"{os.getpid()}{STARTED}").touch()


def started(folder: Path) -> int:
    """Return the number of started workers."""
    return len([*folder.glob(f"*{STARTED}")])


def total_count(folder: Path, workers: int) -> int | None:
    """The sum over all workers; None if a worker has not written its count."""
    counts = [int(path.read_text()) for path in folder.iterdir() if path.suffix != STARTED]
    return sum(counts) if len(counts) == workers else None
