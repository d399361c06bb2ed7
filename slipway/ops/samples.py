"""Reads the part of Prometheus' text format that `make top` needs. Standard library only."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

LINE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: \d+)?")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
ESCAPES = {r"\n": "\n", r"\"": '"', r"\\": "\\"}


@dataclass(frozen=True, slots=True)
class Sample:
    """One series and its value."""

    name: str
    labels: Mapping[str, str]
    value: float


class Samples:
    """All samples of one scrape."""

    def __init__(self, text: str) -> None:
        self.all = [*_parsed(text)]

    def sum(self, name: str, **labels: str) -> float:
        """Return the sum of the series that have these labels."""
        return sum(each.value for each in self.all if each.name == name and labels.items() <= each.labels.items())

    def has(self, name: str) -> bool:
        """Whether there is a series of this name."""
        return any(each.name == name for each in self.all)

    def values(self, name: str, label: str) -> list[str]:
        """Return the distinct values of a label, shorter ones first, then in order."""
        found = {each.labels[label] for each in self.all if each.name == name and label in each.labels}
        return sorted(found, key=lambda value: (len(value), value))

    def buckets(self, name: str, **labels: str) -> dict[float, float]:
        """Return a histogram: the cumulative count for each upper bound in seconds."""
        found: dict[float, float] = {}
        for each in self.all:
            if each.name == f"{name}_bucket" and labels.items() <= each.labels.items():
                limit = float(each.labels["le"])
                found[limit] = found.get(limit, 0.0) + each.value
        return dict(sorted(found.items()))


def quantile(share: float, before: Mapping[float, float], after: Mapping[float, float]) -> float | None:
    """Return a quantile of the values between two scrapes, interpolated within its bucket; None if there are none."""
    grown = {limit: count - before.get(limit, 0.0) for limit, count in after.items()}
    total = max(grown.values(), default=0.0)
    if total <= 0:
        return None
    lower = below = 0.0
    for limit, count in grown.items():
        if count >= share * total:
            if limit == float("inf") or count == below:
                return lower
            return lower + (limit - lower) * (share * total - below) / (count - below)
        lower, below = limit, count
    return lower


def _parsed(text: str) -> Iterator[Sample]:
    for line in text.splitlines():
        found = None if line.startswith("#") else LINE.fullmatch(line)
        if found is not None:
            labels = {name: _unescaped(value) for name, value in LABEL.findall(found[2] or "")}
            yield Sample(found[1], labels, float(found[3]))


def _unescaped(value: str) -> str:
    return re.sub(r'\\[n"\\]', lambda match: ESCAPES[match[0]], value)
