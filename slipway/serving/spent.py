"""Whether a worker is spent and has to be replaced: it has answered its share of requests, or has grown too large."""

import resource
from pathlib import Path

STATM = Path("/proc/self/statm")


def is_spent(requests: int, most_requests: int, most_bytes: int) -> bool:
    """Whether this process has reached one of its limits; `most_bytes` is the one of memory, 0 for none."""
    return requests >= most_requests or bool(most_bytes and _resident_bytes() > most_bytes)


def _resident_bytes() -> int:
    return int(STATM.read_text().split()[1]) * resource.getpagesize()
