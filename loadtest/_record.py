"""Two latency histograms per request name: from the intended start, and from the real start of the request.

Values have three significant digits, like locust's own statistics here. Workers send theirs with every report.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

Histogram = Counter[float]  # counts by rounded milliseconds
PERCENTILES = (0.5, 0.9, 0.99)


def three_digits(milliseconds: float) -> float:
    """Round to three significant digits; with locust's own whole milliseconds, 0.7 and 1.4 would be the same."""
    return float(f"{milliseconds:.3g}")


def percentile(histogram: Histogram, share: float) -> float:
    """Return the smallest value that at least this share of the values does not exceed; 0 without any."""
    rank = share * histogram.total()
    seen = 0
    for value in sorted(histogram):
        seen += histogram[value]
        if seen >= rank:
            return value
    return 0.0


class Record:
    """The results of one process since the test began; requests due before `begin` are warm-up, and left out."""

    def __init__(self) -> None:
        self.clear()

    def clear(self, begin: float = 0.0) -> None:
        self.begin = begin
        self.corrected: dict[str, Histogram] = {}
        self.uncorrected: dict[str, Histogram] = {}
        self.failures: Counter[str] = Counter()
        self.missed = 0

    def add(self, name: str, intended: float, sent: float, ended: float, failure: str | None = None) -> None:
        """Count one answer; times are seconds of one monotonic clock."""
        if intended < self.begin:
            return
        if failure is not None:
            self.failures[f"{name}: {failure}"] += 1
            return
        self.corrected.setdefault(name, Counter())[three_digits((ended - intended) * 1_000)] += 1
        self.uncorrected.setdefault(name, Counter())[three_digits((ended - sent) * 1_000)] += 1

    def take(self) -> dict[str, Any]:
        """Return and clear the results since the last call, for the master."""
        news = self.as_dict()
        self.clear(self.begin)
        return news

    def merge(self, news: dict[str, Any]) -> None:
        """Add a worker's results. Histograms add up exactly; percentiles would not."""
        for kind, mine in (("corrected", self.corrected), ("uncorrected", self.uncorrected)):
            for name, buckets in news[kind].items():
                mine.setdefault(name, Counter()).update({float(value): count for value, count in buckets.items()})
        self.failures.update(news["failures"])
        self.missed += news["missed"]

    def as_dict(self) -> dict[str, Any]:
        return {
            "corrected": {name: {str(value): n for value, n in h.items()} for name, h in self.corrected.items()},
            "uncorrected": {name: {str(value): n for value, n in h.items()} for name, h in self.uncorrected.items()},
            "failures": dict(self.failures),
            "missed": self.missed,
        }

    def table(self) -> str:
        """Return both latencies side by side, as a text."""
        lines = [f"{'latency in ms':<28}{'n':>9}  from the intended start: p50 / p90 / p99   from the real start"]
        for name, histogram in sorted(self.corrected.items()):
            both = [
                " / ".join(f"{percentile(h, p):g}" for p in PERCENTILES) for h in (histogram, self.uncorrected[name])
            ]
            lines.append(f"{name:<28}{histogram.total():>9}  {both[0]:<43}{both[1]}")
        if self.missed:
            lines.append(
                f"{self.missed} starts were due and never made: the users could not keep up with their schedule."
            )
        return "\n".join(lines)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(self.as_dict(), sort_keys=True) + "\n")


record = Record()
