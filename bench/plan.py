"""What a run consists of, how long it will take, and in which order: known before it begins, so that it can go on."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from bench.arms import Arm
from bench.workloads import BY_NAME, HTTP, SOCKETS, Workload

AGAIN = " again"  # the A/A control: the first arm under another name
START_SECONDS = 2.5  # start, readiness, stop
PROCESS_SECONDS = 0.4  # what starting the generator costs
LOCUST_SECONDS = 4.0
IDLE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Mode:
    """How much is measured. Times are seconds."""

    name: str
    rounds: int
    warmup: float
    measure: float
    peak: int
    probes: int
    probe: float
    fractions: Sequence[float]  # of the rate that the weakest arm holds; common to all arms
    workloads: Sequence[str]
    sockets: float  # length of locust's runs; 0: none
    peaks: bool = True  # in every round, or in the search alone


QUICK = Mode("quick", 3, 0.2, 0.6, 1, 2, 0.6, (0.5,), ("plaintext", "database", "wait"), 0, False)
NORMAL = Mode("normal", 3, 0.3, 1.7, 1, 4, 1.2, (0.6,), tuple(w.name for w in HTTP), 4)
FULL = Mode("full", 10, 5, 20, 5, 9, 10, (0.25, 0.5, 0.75, 0.9), tuple(w.name for w in HTTP), 30)
MODES = {mode.name: mode for mode in (QUICK, NORMAL, FULL)}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to measure; its number marks its requests in nginx's log and its file among the results."""

    number: int
    what: str  # search, peak, rate, idle, locust
    workload: Workload
    fraction: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Visit:
    """One start of one arm, and all that is measured on it."""

    name: str  # of the folder
    arm: str
    label: str  # the arm, or its control
    round: int  # 0: the search
    steps: Sequence[Step]

    @property
    def seconds(self) -> float:
        return START_SECONDS + sum(step.seconds for step in self.steps)


def plan(mode: Mode, arms: Sequence[Arm], seed: int) -> list[Visit]:
    """First the search, one visit for each arm; then rounds in which every arm has its turn, in random order."""
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
            visits.append(Visit(folder, name, label, number, [*_round(mode, numbers)]))
    return visits


def _search(mode: Mode, arm: Arm, numbers: Iterator[int]) -> Visit:
    count = partial(next, numbers)
    seconds = mode.peak + PROCESS_SECONDS + mode.probes * (mode.probe + PROCESS_SECONDS)
    steps = [Step(count(), "idle", BY_NAME["plaintext"], seconds=IDLE_SECONDS)]
    steps += [Step(count(), "search", BY_NAME[name], seconds=seconds) for name in mode.workloads]
    if mode.sockets:
        seconds = mode.sockets + LOCUST_SECONDS
        steps.append(Step(count(), "locust", BY_NAME["plaintext"], seconds=seconds))
        if arm.asgi:
            steps += [Step(count(), "locust", workload, seconds=seconds) for workload in SOCKETS]
    return Visit(f"search-{arm.name}", arm.name, arm.name, 0, steps)


def _round(mode: Mode, numbers: Iterator[int]) -> list[Step]:
    count = partial(next, numbers)
    seconds = mode.warmup + mode.measure + PROCESS_SECONDS
    workloads = [BY_NAME[name] for name in mode.workloads]
    steps = [Step(count(), "rate", one, fraction, seconds) for one in workloads for fraction in mode.fractions]
    if mode.peaks:  # a closed load of a mix would say nothing of its parts
        single = [one for one in workloads if len(one.kinds) == 1]
        steps += [Step(count(), "peak", one, seconds=mode.peak + PROCESS_SECONDS) for one in single]
    return steps


def total_seconds(visits: Sequence[Visit]) -> float:
    return sum(visit.seconds for visit in visits)
