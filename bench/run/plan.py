"""The plan of a run: its steps, their order and estimated time. The same seed gives the same plan on resume."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from bench.figures.results import AGAIN
from bench.run.arms import ASGI, Arm
from bench.run.arms import BY_NAME as BY_ARM
from bench.run.workloads import ALL, BY_NAME, OWN, Workload

FLOOR_RATES = (100, 1_000, 4_000, 10_000, 16_000)  # requests per second against nginx alone
LONGEST = 2.5  # times the mode's length, for slow workloads with few requests
QUIET_RATES = (0.0, 10.0)  # requests per second to an idle and to a nearly idle arm
SLOW = 100.0  # milliseconds; a workload whose own time is at least this is slow

# Estimates in seconds
START_SECONDS = 2.0  # start, readiness, stop and counters
VERIFY_SECONDS = 2.2  # start, stop and comparison of the responses
PROCESS_SECONDS = 0.15  # to start the generator
LOCUST_SECONDS = 2.0  # to start locust, and its warm-up
IDLE_SECONDS = 0.3  # to open the idle connections
QUIET_SECONDS = 1.5  # to settle, before an idle arm is measured
REPORT_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Mode:
    """The extent of a run. Times are seconds."""

    name: str
    rounds: int
    warmup: float
    measure: float
    peak: int
    probes: int
    probe: float
    fractions: Sequence[float]  # of the weakest arm's sustainable rate; common to all arms
    workloads: Sequence[str]
    locust: float  # length of a run of locust
    peaks: bool = True  # whether peaks are measured in every round, or in the search only
    quiet: float = 0.0  # length of a measurement of an idle arm; 0: none


EVERY = tuple(workload.name for workload in ALL)
QUICK = Mode("quick", 5, 0.1, 0.25, 1, 2, 0.3, (0.5,), ("plaintext", "database", "wait"), 0, False)
NORMAL = Mode("normal", 5, 0.2, 0.55, 1, 3, 0.7, (0.6,), EVERY, 2, quiet=4)
FULL = Mode("full", 7, 0.5, 2.5, 2, 6, 2, (0.3, 0.6, 0.9), EVERY, 6, quiet=20)
MODES = {mode.name: mode for mode in (QUICK, NORMAL, FULL)}


@dataclass(frozen=True, slots=True)
class Step:
    """One measurement; its number identifies its requests in nginx's log and its results file."""

    number: int
    what: str  # search, rate, peak, check, quiet
    workload: Workload
    fraction: float = 0.0
    seconds: float = 0.0
    rate: float = 0.0  # of a quiet step


@dataclass(frozen=True, slots=True)
class Visit:
    """One start of one arm and the steps measured on it."""

    name: str  # of the folder
    arm: str
    label: str  # the arm, or its control
    round: int  # 0: the search
    steps: Sequence[Step]

    @property
    def seconds(self) -> float:
        return START_SECONDS + sum(step.seconds for step in self.steps)


def of_one(mode: Mode) -> Mode:
    """Return the mode for an app that is measured by itself."""
    return replace(mode, workloads=(OWN.name,))


def plan(mode: Mode, arms: Sequence[Arm], seed: int) -> list[Visit]:
    """One search visit for each arm, then rounds that visit every arm in random order."""
    chance, numbers = random.Random(seed), iter(range(1, 1_000_000))
    visits = []
    for arm in arms:
        visits.append(_search(mode, arm, numbers))
    for number in range(1, mode.rounds + 1):
        labels = [*(arm.name for arm in arms), arms[0].name + AGAIN]
        chance.shuffle(labels)
        for label in labels:
            name = label.removesuffix(AGAIN)
            folder = f"round-{number:02}-{label.replace(' ', '-')}"
            visits.append(Visit(folder, name, label, number, _round(mode, BY_ARM[name], numbers)))
    return visits


def _search(mode: Mode, arm: Arm, numbers: Iterator[int]) -> Visit:
    count = partial(next, numbers)
    steps = [
        Step(count(), "quiet", BY_NAME[mode.workloads[0]], seconds=mode.quiet + QUIET_SECONDS, rate=rate)
        for rate in QUIET_RATES if mode.quiet
    ]  # fmt: skip
    steps += [
        Step(count(), "search", one, seconds=_search_seconds(mode, arm, one)) for one in _of(mode, arm) if not one.rate
    ]
    if mode.locust and arm == ASGI and "plaintext" in mode.workloads:  # our own generator and locust should agree
        seconds = mode.locust + LOCUST_SECONDS + mode.probe + PROCESS_SECONDS
        steps.append(Step(count(), "check", BY_NAME["plaintext"], seconds=seconds))
    return Visit(f"search-{arm.name}", arm.name, arm.name, 0, steps)


def _round(mode: Mode, arm: Arm, numbers: Iterator[int]) -> list[Step]:
    """Steps of one round. Idle connections come first: later they would reuse memory freed by other steps."""
    count = partial(next, numbers)
    workloads = sorted(_of(mode, arm), key=lambda one: not one.waiting)
    steps = [
        Step(count(), "rate", one, fraction, _seconds(mode, one))
        for one in workloads for fraction in ((0.0,) if one.rate else mode.fractions)
    ]  # fmt: skip
    if mode.peaks:  # a closed load of a mix does not separate its parts
        single = [one for one in workloads if len(one.kinds) == 1 and not one.rate]
        steps += [Step(count(), "peak", one, seconds=mode.peak + PROCESS_SECONDS) for one in single]
    return steps


def _of(mode: Mode, arm: Arm) -> list[Workload]:
    return [one for one in map(BY_NAME.__getitem__, mode.workloads) if arm.asgi or not one.asgi_only]


def _search_seconds(mode: Mode, arm: Arm, workload: Workload) -> float:
    probe = mode.probe * (LONGEST if workload.own >= SLOW and not arm.asgi else 1)
    return mode.peak + PROCESS_SECONDS + mode.probes * (mode.warmup + probe + PROCESS_SECONDS)


def _seconds(mode: Mode, workload: Workload) -> float:
    if workload.by_locust:
        return mode.locust + LOCUST_SECONDS
    measure = mode.measure * (LONGEST if workload.own >= SLOW else 1)
    return mode.warmup + measure + PROCESS_SECONDS + (IDLE_SECONDS if workload.waiting else 0)


def prepare_seconds(mode: Mode, arms: Sequence[Arm]) -> float:
    """Seconds for the generator's floor and the comparison of the responses."""
    return len(FLOOR_RATES) * (mode.warmup + mode.probe + PROCESS_SECONDS) + len(arms) * VERIFY_SECONDS


def total_seconds(mode: Mode, arms: Sequence[Arm], visits: Sequence[Visit]) -> float:
    """Seconds of the whole run, from the first start to the report."""
    return prepare_seconds(mode, arms) + sum(visit.seconds for visit in visits) + REPORT_SECONDS
