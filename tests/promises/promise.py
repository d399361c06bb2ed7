"""A promise: how it is checked, small and at full size, and what was seen, as rows of a table."""

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from tests.harness.load import Report

PROPERTY = "promise"  # property of a test's report, once for each row


@dataclass(frozen=True, slots=True)
class Row:
    """The promise, what was seen, and whether it is kept."""

    promise: str
    seen: str
    kept: bool | None
    """None: it is shown, but nothing is promised."""

    @property
    def word(self) -> str:
        return {True: "kept", False: "BROKEN", None: "seen"}[self.kept]


Size = TypeVar("Size")


@dataclass(frozen=True, slots=True)
class Promise(Generic[Size]):
    """A function, and the sizes with which it runs."""

    name: str
    check: Callable[[Size], AsyncIterator[Row]]
    full: Size
    """For `make soak`."""
    small: Size | None
    """For `make test`; None where a small run shows nothing, or another test runs the function."""
    alone: bool = False
    """Whether the small run needs the machine for itself."""

    def run_full(self) -> AsyncIterator[Row]:
        return self.check(self.full)

    def run_small(self) -> AsyncIterator[Row]:
        assert self.small is not None
        return self.check(self.small)


def lost(report: Report) -> str:
    """Return how many requests were lost, and how."""
    how = ", ".join(f"{count} {method}: {outcome}" for (method, outcome), count in report.lost.items())
    return f"{report.lost.total():,} of {report.total:,}{f' ({how})' if how else ''}"


def table(rows: Iterable[Row]) -> str:
    """Return the rows as text."""
    found = [*rows]
    width = max((len(row.promise) for row in found), default=0)
    return "\n".join(f"  {row.word:6}  {row.promise:{width}}  {row.seen}".rstrip() for row in found)


def all_kept(rows: Iterable[Row]) -> bool:
    """Return whether no promise is broken."""
    return all(row.kept is not False for row in rows)
