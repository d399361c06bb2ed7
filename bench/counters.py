"""Client, nginx and app must have counted the same requests; a run where they did not is void."""

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

RUN = re.compile(r"[?&]run=(\d+)")


@dataclass(slots=True)
class Seen:
    """What nginx's log says of one run."""

    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    workers: Counter[str] = field(default_factory=Counter)  # by the upstream's name


def nginx_counts(log: Path) -> tuple[dict[int, Seen], int]:
    """Requests by the number of their run, and all that were passed on to the app."""
    runs: dict[int, Seen] = {}
    passed = 0
    for line in log.read_text(errors="replace").splitlines():
        if not line.startswith("{"):
            continue
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        upstream = entry.get("upstream") or "-"
        passed += upstream not in ("-", "")
        found = RUN.search(entry.get("uri", ""))
        if found:
            seen = runs.setdefault(int(found[1]), Seen())
            seen.requests += 1
            seen.statuses[int(entry["status"])] += 1
            seen.workers[Path(upstream.rpartition(":")[2]).stem] += 1
    return runs, passed


def mismatch(sent: int, seen: int, *, open_at_end: int) -> str | None:
    """A closed load cuts what is under way at its end: nginx may have counted so many more, and nothing else."""
    return None if sent <= seen <= sent + open_at_end else f"the client sent {sent} requests, nginx saw {seen}"


def imbalance(workers: Counter[str], count: int) -> float:
    """The most loaded worker's share against the mean; NaN where the workers share a socket and nginx can't tell."""
    if len(workers) < 2 or not workers.total():
        return float("nan")
    return max(workers.values()) / (workers.total() / count)
