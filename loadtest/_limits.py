"""Conditions under which a run fails: `p95>200`, `failures>0.1%`, `GET /api/users: p99>300`."""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Self

from loadtest._record import Record, percentile

TEXT = re.compile(
    r"(?:(?P<name>.+):)?\s*(?P<what>p\d{1,2}(?:\.\d+)?|failures|missed)\s*>\s*(?P<most>\d+(?:\.\d+)?)(?P<share>%?)"
)
GRAMMAR = (
    'allowed is "p95>200" (ms), "failures>10", "failures>0.1%" or "missed>0"; '
    'with "GET /path: " in front of it for one request'
)


@dataclass(frozen=True)
class Limit:
    """An upper limit of one figure, over all requests or over those of one name."""

    text: str
    name: str | None
    what: str
    most: float
    share: bool  # in percent of the requests

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a limit; raises ValueError for an invalid one."""
        match = TEXT.fullmatch(text.strip())
        if match is None or (match["share"] and match["what"].startswith("p")):
            raise ValueError(GRAMMAR)
        name = match["name"]
        return cls(
            text.strip(), name.strip() if name else None, match["what"], float(match["most"]), bool(match["share"])
        )

    def broken(self, record: Record) -> str | None:
        """Return the limit and the figure found if the limit is exceeded, else None."""
        found, unit = self._found(record)
        return f"{self.text}: it is {found:.4g}{unit}" if found > self.most else None

    def concerns(self, failure: str) -> bool:
        """Whether the limit is for the request of a failure, which is named as in the record."""
        return self.name is None or failure.startswith(f"{self.name}: ")

    def _found(self, record: Record) -> tuple[float, str]:
        answered = Counter[float]()
        for name, histogram in record.corrected.items():
            if self.name in (None, name):
                answered.update(histogram)
        failed = sum(n for name, n in record.failures.items() if self.concerns(name))
        if not answered.total() + failed:
            return float("inf"), ", since there was no such request"
        if self.what.startswith("p"):
            return percentile(answered, float(self.what[1:]) / 100) if answered else float("inf"), " ms"
        count = record.missed if self.what == "missed" else failed
        return (100 * count / (answered.total() + count), "%") if self.share else (count, "")
