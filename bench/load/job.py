"""The job of an open load and its result; both are passed between processes as JSON."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.figures.histogram import Histogram


@dataclass(frozen=True, slots=True)
class RequestKind:
    """One kind of request of a mix; `share` is its part of all requests."""

    name: str
    path: str
    expected: str
    method: str = "GET"
    body: str = ""
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Job:
    """The requests to send, the port and the rate."""

    port: int
    kinds: Sequence[RequestKind]
    rate: float
    seconds: float
    warmup: float = 0.0
    seed: int = 1
    most_connections: int = 1_000


@dataclass(slots=True)
class LoadResult:
    """Counts and latencies of one job. Requests of the warm-up count only in `sent` and `failures`."""

    offered: int = 0
    sent: int = 0
    completed: int = 0
    late: int = 0
    seconds: float = 0.0
    connections: int = 0
    busy: float = 0.0  # the generator's CPU time divided by its run time
    failures: Counter[str] = field(default_factory=Counter)
    corrected: dict[str, Histogram] = field(default_factory=dict)
    uncorrected: dict[str, Histogram] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in self.__slots__}
        for name in ("corrected", "uncorrected"):
            plain[name] = {kind: histogram.as_dict() for kind, histogram in plain[name].items()}
        return plain

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "LoadResult":
        kept = {name: {k: Histogram(h) for k, h in data[name].items()} for name in ("corrected", "uncorrected")}
        return cls(**{**data, **kept, "failures": Counter(data["failures"])})


def job_json(job: Job) -> str:
    """Serialize a job for the generator's process."""
    return json.dumps(asdict(job))
