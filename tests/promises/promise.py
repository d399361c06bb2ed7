"""One line of the table."""

from dataclasses import dataclass

from tests.harness.load import Report


@dataclass(frozen=True, slots=True)
class Row:
    """What was promised, what was seen, and whether that is the same."""

    promise: str
    seen: str
    kept: bool


def lost(report: Report) -> str:
    """How many requests were lost, and how."""
    how = ", ".join(f"{count} {method}: {outcome}" for (method, outcome), count in report.lost.items())
    return f"{report.lost.total():,} of {report.total:,}{f' ({how})' if how else ''}"
