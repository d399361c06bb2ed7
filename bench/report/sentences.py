"""The result in plain sentences: who wins, by how much and at which rate, or that it can't be told."""

from collections.abc import Iterator, Sequence

from bench.figures.comparisons import Comparison, at_highest_rate
from bench.figures.stats import Interval

BETTER = " better"  # how a verdict ends that has a winner


def sentences(rows: Sequence[Comparison], base: str) -> Iterator[str]:
    """One for each workload, at the highest rate that all arms were asked at; `base` is the first arm."""
    shown = at_highest_rate(rows)
    for workload in dict.fromkeys(row.workload for row in shown):
        found = [row for row in shown if row.workload == workload]
        title, told = found[0].title, "; ".join(_told(row, base) for row in found)
        yield f"{title[:1].upper()}{title[1:]} at {found[0].rate:.0f}/s: {told}."


def _told(row: Comparison, base: str) -> str:
    if not row.verdict.endswith(BETTER):
        return f"whether {base} or {row.other} answers faster can't be told ({row.verdict})"
    ratio, winner, loser = row.latency, base, row.other
    if ratio.middle > 1:
        ratio, winner, loser = Interval(1 / ratio.middle, 1 / ratio.high, 1 / ratio.low), loser, winner
    return f"{winner} wins, its p{row.percent:g} is {ratio} of {loser}'s"
