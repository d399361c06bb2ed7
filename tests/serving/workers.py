"""Workers without processes, for the parts of the process model that do not use gunicorn."""

from collections.abc import Iterator
from contextlib import contextmanager

from slipway.serving.clock import RunningClock
from slipway.serving.handover import Handover, Report
from slipway.serving.mailbox import Mailbox
from slipway.serving.roster import Roster, WorkerState
from slipway.serving.settings import ServerSettings
from slipway.serving.worker_table import WorkerRow

SETTINGS = ServerSettings.from_environment(
    {"WEB_CONCURRENCY": "2", "GRACEFUL_TIMEOUT": "4", "TIMEOUT": "5", "DRAIN_SECONDS": "1.5"}
)


class Time:
    """A monotonic clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Workers:
    """A roster whose heartbeats and time are set by the test, and the signals sent."""

    def __init__(self) -> None:
        self.time = Time()
        self.clock = RunningClock(self.time)
        self.roster = Roster()
        self.signals: list[tuple[int, int]] = []
        self.beats: dict[int, float] = {}
        self.reports: list[Report] = []

    def add(self, pid: int, predecessor: WorkerState | None = None) -> WorkerState:
        """Add a worker that has just started; its age is its pid."""
        self.reports.append(Report(None))
        self.beats[pid] = 0.0
        handover = Handover(
            0, (), (), None, self.reports[-1], Mailbox(admitted=predecessor is None), WorkerRow(-1, 0), None
        )
        state = WorkerState(pid, pid, handover, predecessor, lambda: self.beats[pid], self.clock.now(), 0.0)
        self.roster.add(state)
        return state

    def kill(self, pid: int, number: int) -> None:
        self.signals.append((pid, number))

    def wait(self, seconds: float, *beating: int) -> None:
        """Let time pass in steps of half a second, in each of which these workers beat."""
        for _ in range(int(seconds * 2)):
            self.time.now += 0.5
            self.clock.tick()
            for pid in beating:
                self.beats[pid] += 1


@contextmanager
def no_processes() -> Iterator[Workers]:
    """Yield workers, and close their reports at the end."""
    workers = Workers()
    try:
        yield workers
    finally:
        for report in workers.reports:
            report.close()
