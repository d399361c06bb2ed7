"""What an open load is told to do, and what came of it: both go between processes as JSON."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.figures.histogram import Histogram


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of request of a mix; `share` is its part of all."""

    name: str
    path: str
    expected: str
    method: str = "GET"
    body: str = ""
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Job:
    """What to send, where, and how fast."""

    port: int
    kinds: Sequence[Kind]
    rate: float
    seconds: float
    warmup: float = 0.0
    seed: int = 1
    most_connections: int = 1_000


@dataclass(slots=True)
class Result:
    """What came of it. Requests of the warm-up are counted in `sent` alone, and there only if they could be sent."""

    offered: int = 0
    sent: int = 0
    completed: int = 0
    late: int = 0
    seconds: float = 0.0
    connections: int = 0
    busy: float = 0.0  # the generator's CPU time by the time that it ran
    failures: Counter[str] = field(default_factory=Counter)
    corrected: dict[str, Histogram] = field(default_factory=dict)
    uncorrected: dict[str, Histogram] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in self.__slots__}
        for name in ("corrected", "uncorrected"):
            plain[name] = {kind: histogram.as_dict() for kind, histogram in plain[name].items()}
        return plain

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Result":
        kept = {name: {k: Histogram(h) for k, h in data[name].items()} for name in ("corrected", "uncorrected")}
        return cls(**{**data, **kept, "failures": Counter(data["failures"])})


def job_json(job: Job) -> str:
    """As the generator's process reads it."""
    return json.dumps(asdict(job))
