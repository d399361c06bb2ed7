"""Whether a worker is spent, so that another takes its place: it has answered its requests, or has grown too large."""

import resource
from pathlib import Path

STATM = Path("/proc/self/statm")


def is_spent(requests: int, most_requests: int, most_bytes: int) -> bool:
    """Whether this process is over one of its limits; `most_bytes` of memory are none if they are 0."""
    return requests >= most_requests or bool(most_bytes and _resident_bytes() > most_bytes)


def _resident_bytes() -> int:
    return int(STATM.read_text().split()[1]) * resource.getpagesize()
