"""The validity of a run: one line for each check and each doubt."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator

from bench.figures.agreement import app_mismatch, breaks_littles_law, imbalance, in_flight
from bench.figures.figures import Figures, Run
from bench.figures.histogram import Histogram
from bench.figures.summaries import ArmSummary

TOLERANCE = 2.0  # milliseconds; overhead of locust


def validity(figures: Figures, single: Iterable[ArmSummary]) -> list[str]:
    """Facts of the whole run, then each doubt, then the remark of each arm."""
    verified = [f"{arm} ANSWERS OTHERWISE: {what}" for arm, found in figures.verified.items() for what in found]
    lines = [
        *(verified or ["answers alike, byte for byte"]),
        f"{len(figures.void)} of {len(figures.runs)} runs void",
        f"most loaded worker against the mean: {_balance(figures)}",
        f"most time stolen by the hypervisor: {max((run['stolen'] for run in figures.runs), default=0):.1%}",
        _littles_law(figures),
        *_headroom(figures),
        *(_check(figures, run) for run in figures.of("check")),
        f"planned {_minutes(figures, 'planned')}, took {_minutes(figures, 'took')}",
    ]
    for name, counts in figures.visits.items():
        if problem := app_mismatch(counts["nginx"], counts["app"], counts["unanswered"]):
            lines.append(f"{name}: {problem}")
    lines += [f"void: {run['label']}, {run['workload']}, {run['what']}: {run['void']}" for run in figures.void]
    lines += [
        f"Little's law does not hold: {run['label']}, {run['workload']}, round {run['round']}: {why}"
        for run in figures.of("peak") if (why := breaks_littles_law(run))
    ]  # fmt: skip
    lines += [f"failed: {one.title}, {one.label}: {one.failed()} beside {one.n}" for one in single if one.failures]
    lines += [f"drifts with time: {name}" for name in figures.drifting()]
    return lines + [f"{arm}: {remark}" for arm, remark in figures.about["remarks"].items() if remark]


def _littles_law(figures: Figures) -> str:
    peaks = [run for run in figures.of("peak") if not math.isnan(in_flight(run))]
    return f"Little's law holds in {sum(not breaks_littles_law(run) for run in peaks)} of {len(peaks)} closed cells"


def _headroom(figures: Figures) -> Iterator[str]:
    """The generator's own limit; figures close to it describe the generator, not the server."""
    for rate, p99 in sorted(figures.ceiling())[-1:]:
        yield f"the generator against nginx alone keeps up to {rate}/s, with a p99 of {p99:.3g} ms there"


def _minutes(figures: Figures, key: str) -> str:
    return f"{sum(visit[key] for visit in figures.visits.values()) / 60:.1f} min"


def _balance(figures: Figures) -> str:
    shares = {}
    for arm in figures.arms():
        total: Counter[str] = Counter()
        for run in figures.runs:
            if run["arm"] == arm:
                total.update(run["workers"])
        shares[arm] = imbalance(total, figures.about["workers"])
    return ", ".join(f"{arm} {share:.2f}" for arm, share in shares.items() if not math.isnan(share))


def _check(figures: Figures, run: Run) -> str:
    """Compare the medians of both generators for one workload."""
    workload = figures.names[run["workload"]]
    by_locust = Histogram(run["result"]["corrected"].get(workload.locust_figure)).percentile(50)
    by_ours = Histogram(run["ours"]["corrected"].get(workload.figure)).percentile(50)
    words = "they agree" if abs(by_locust - by_ours) <= TOLERANCE else "THEY DISAGREE"
    return (
        f"{workload.title} on {run['arm']} at {run['rate']:.0f}/s: p50 {by_ours:.3g} ms, by locust {by_locust:.3g} ms; "
        f"{words} within {TOLERANCE:g} ms"
    )
