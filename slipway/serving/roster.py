"""The arbiter's records of its workers, by pid."""

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from slipway.logs import stacks
from slipway.serving.handover import Handover

ASKED_TO_END = {signal.SIGTERM, signal.SIGQUIT, signal.SIGINT}


@dataclass(slots=True, eq=False)
class WorkerState:
    """One worker, from its fork until its process has ended. Times are the arbiter's running seconds."""

    pid: int
    age: int  # number of its start: a younger worker has a higher one
    handover: Handover
    predecessor: "WorkerState | None"  # whose place it takes as soon as it can serve
    heartbeat: Callable[[], float]  # reads the time of the heartbeat file
    spawned_at: float
    last_beat: float  # the heartbeat file's time when it was last read; at first, as it was before the fork
    beat_at: float = field(init=False)  # when a new heartbeat was last seen
    ready_at: float | None = None
    has_served: bool = False  # long enough that its end is not a failed start
    retired_at: float | None = None  # when it was told to drain
    aborted_at: float | None = None  # when it was told to write its stacks and end
    killed_because: str = ""
    refused_because: str = ""  # why it may not take its predecessor's place
    end_reason: str = ""  # after its end: why that was not clean

    def __post_init__(self) -> None:
        self.beat_at = self.spawned_at

    @property
    def slot(self) -> int | None:
        return self.handover.slot

    @property
    def is_serving(self) -> bool:
        """Whether it has a place: it neither drains nor waits to take its predecessor's."""
        return self.retired_at is None and self.predecessor is None

    @property
    def is_ready(self) -> bool:
        return self.ready_at is not None

    def ended(self, wait_status: int | None) -> None:
        """Note how its process has ended: the wait status of os.waitpid, None if unknown."""
        self.end_reason = self.handover.report.read() or self.killed_because or _reason(wait_status)
        self.handover.report.close()
        self.handover.mailbox.close()
        self.handover.row.clear()
        stacks.report(self.handover.stacks, self.pid)


def _reason(wait_status: int | None) -> str:
    if wait_status is None:
        return ""
    if os.WIFSIGNALED(wait_status):
        number = os.WTERMSIG(wait_status)
        return "" if number in ASKED_TO_END else f"killed by {_name(number)}"
    code = os.WEXITSTATUS(wait_status)
    return f"exit code {code}" if code else ""


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class Roster:
    """All workers whose processes have not ended."""

    def __init__(self) -> None:
        self._states: dict[int, WorkerState] = {}

    def __iter__(self) -> Iterator[WorkerState]:
        """Iterate over a copy, oldest first."""
        return iter(sorted(self._states.values(), key=lambda state: state.age))

    def __len__(self) -> int:
        return len(self._states)

    def __contains__(self, state: object) -> bool:
        return isinstance(state, WorkerState) and self._states.get(state.pid) is state

    def add(self, state: WorkerState) -> None:
        self._states[state.pid] = state

    def remove(self, pid: int) -> WorkerState | None:
        """Forget a worker; its successor takes its place at once."""
        ended = self._states.pop(pid, None)
        for state in self:
            if ended is not None and state.predecessor is ended:
                state.predecessor = None
                state.handover.mailbox.admit()
        return ended

    def serving(self) -> list[WorkerState]:
        return [state for state in self if state.is_serving]

    def successor_of(self, state: WorkerState) -> WorkerState | None:
        return next((other for other in self.successors() if other.predecessor is state), None)

    def successors(self) -> list[WorkerState]:
        """Return the workers that are to take a predecessor's place."""
        return [state for state in self if state.predecessor is not None and state.retired_at is None]
