"""The result in plain sentences: which arm wins, by how much and at which rate, or that there is no verdict."""

from collections.abc import Iterator, Sequence

from bench.figures.comparisons import Comparison, at_highest_rate
from bench.figures.stats import Interval

BETTER = " better"  # the end of a verdict with a winner


def sentences(rows: Sequence[Comparison], base: str) -> Iterator[str]:
    """Yield one sentence for each workload, at its highest common rate; `base` is the first arm."""
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
