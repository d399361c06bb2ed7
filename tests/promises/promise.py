"""A promise: what is done to check it, small and at full size, and what has been seen as lines of a table."""

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from tests.harness.load import Report

PROPERTY = "promise"  # of a test's report, once for each row


@dataclass(frozen=True, slots=True)
class Row:
    """What was promised, what was seen, and whether that is the same."""

    promise: str
    seen: str
    kept: bool | None
    """None: it is shown, and nothing is promised of it."""

    @property
    def word(self) -> str:
        return {True: "kept", False: "BROKEN", None: "seen"}[self.kept]


Size = TypeVar("Size")


@dataclass(frozen=True, slots=True)
class Promise(Generic[Size]):
    """One function, and the sizes with which it runs."""

    name: str
    check: Callable[[Size], AsyncIterator[Row]]
    full: Size
    """For `make soak`."""
    small: Size | None
    """For `make test`; None where a small run says nothing, or another test runs the function."""
    alone: bool = False
    """Whether the small run bears nothing beside it."""

    def run_full(self) -> AsyncIterator[Row]:
        return self.check(self.full)

    def run_small(self) -> AsyncIterator[Row]:
        assert self.small is not None
        return self.check(self.small)


def lost(report: Report) -> str:
    """How many requests were lost, and how."""
    how = ", ".join(f"{count} {method}: {outcome}" for (method, outcome), count in report.lost.items())
    return f"{report.lost.total():,} of {report.total:,}{f' ({how})' if how else ''}"


def table(rows: Iterable[Row]) -> str:
    """The rows as text."""
    found = [*rows]
    width = max((len(row.promise) for row in found), default=0)
    return "\n".join(f"  {row.word:6}  {row.promise:{width}}  {row.seen}".rstrip() for row in found)


def all_kept(rows: Iterable[Row]) -> bool:
    """Whether nothing that was promised is broken."""
    return all(row.kept is not False for row in rows)
