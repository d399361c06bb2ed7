"""Starts, replaces and retires workers until the wanted number of them serves.

Independent of gunicorn: workers are forked through `Forks`.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Protocol

from slipway.serving.backoff import Backoff
from slipway.serving.clock import RunningClock
from slipway.serving.roster import Roster, WorkerState
from slipway.serving.takeover import Takeover, TakeoverOutcome
from slipway.serving.watch import Watch

log = logging.getLogger("gunicorn.error")


class StartFailedError(Exception):
    """A worker can't be forked; the message says why."""


class Forks(Protocol):
    """The server as the crew needs it."""

    def fork(self, predecessor: WorkerState | None) -> WorkerState:
        """Start a worker; raise the system's error if it can't be forked."""

    def ready_path(self) -> str | None:
        """Return the path at which workers ask their app; empty: they don't; None: their class can't be held back."""

    def patience(self) -> float:
        """Return the seconds within which a worker must be ready."""


class Crew:
    """Manages the workers of the roster."""

    def __init__(self, roster: Roster, clock: RunningClock, watch: Watch, backoff: Backoff, server: Forks) -> None:
        self._roster = roster
        self._clock = clock
        self._watch = watch
        self._server = server
        self._takeovers: dict[WorkerState, Takeover] = {}
        self.backoff = backoff
        self.unclean_ends = 0
        self.last_unclean_end = ""

    def start(self, predecessor: WorkerState | None) -> WorkerState | None:
        """Start a worker; return None while starts are held back; raise StartFailedError if it can't be forked."""
        if self.backoff.holds():
            return None
        try:
            state = self._server.fork(predecessor)
        except Exception as error:  # no process, no memory, no descriptor, no folder
            pause = self.backoff.failed()
            message = f"a worker can't be started: {error}"
            log.error("Failed start: %s; the next start is in %g s", message, pause)
            raise StartFailedError(message) from error
        self._roster.add(state)
        return state

    def fill(self, wanted: int) -> None:
        """Start missing workers."""
        for _ in range(wanted - len(self._roster.serving())):
            if self._start_quietly(None) is None:
                return

    def replace(self, spent: Callable[[WorkerState], bool], wanted: int) -> None:
        """Replace spent workers one at a time, so that a common cause does not double the memory in use."""
        if self._roster.successors():
            return
        state = next((each for each in self._roster.serving()[:wanted] if each.is_ready and spent(each)), None)
        if state is not None and self._start_quietly(state) is not None:
            log.info("Worker (pid:%s) has done its share and is replaced", state.pid)

    def retire_surplus(self, wanted: int) -> None:
        """Retire surplus workers: first those that share a slot, the oldest of them first."""
        serving = self._roster.serving()
        slots = [state.slot for state in serving]
        by_need = sorted(serving, key=lambda state: (-slots.count(state.slot), state.age))
        for state in by_need[: max(0, len(serving) - wanted)]:
            self._watch.retire(state)

    def hand_over_places(self) -> None:
        """Let each successor take its predecessor's place once it is ready where the predecessor is."""
        for state in self._roster.successors():
            if state.is_ready and state.predecessor is not None:
                self._hand_over(state, state.predecessor)
        self._takeovers = {state: each for state, each in self._takeovers.items() if state in self._roster}

    def ended(self, state: WorkerState) -> None:
        """Count an unclean end; delay the next start after a failed one."""
        if state.end_reason and state.is_ready:
            self.unclean_ends += 1
            self.last_unclean_end = state.end_reason
            log.error("Worker (pid:%s) did not end cleanly: %s", state.pid, state.end_reason)
        if state.has_served or state.retired_at is not None:
            return
        pause = self.backoff.ended_young() if state.is_ready else self.backoff.failed()
        log.warning(
            "Worker (pid:%s) ended soon after its start (%s); the next start is in %g s",
            state.pid,
            state.end_reason or "cleanly",
            pause,
        )

    def _start_quietly(self, predecessor: WorkerState | None) -> WorkerState | None:
        try:
            return self.start(predecessor)
        except StartFailedError:
            return None  # logged already; the next step tries again

    def _hand_over(self, new: WorkerState, old: WorkerState) -> None:
        path, mailbox = self._server.ready_path(), new.handover.mailbox
        if path is None or mailbox.listens:
            new.predecessor = None
            self._watch.retire(old)
        elif not path:
            mailbox.admit()
        elif not mailbox.admitted:
            self._judge(new, old, path)
        elif self._clock.now() - (new.ready_at or 0.0) > 2 * self._server.patience():
            self._refuse(new, "ready, and does not listen")

    def _judge(self, new: WorkerState, old: WorkerState, path: str) -> None:
        if new not in self._takeovers:
            boxes = new.handover.mailbox, old.handover.mailbox
            self._takeovers[new] = Takeover(*boxes, path, self._clock, self._server.patience())
        outcome = self._takeovers[new].outcome()
        if outcome is TakeoverOutcome.ADMITTED:
            new.handover.mailbox.admit()
        elif outcome is TakeoverOutcome.REFUSED:
            self._refuse(new, self._takeovers[new].reason)

    def _refuse(self, new: WorkerState, reason: str) -> None:
        new.refused_because = reason
        self.backoff.failed()
        log.error("Worker (pid:%s) is %s; the old one serves on", new.pid, reason)
        self._watch.retire(new)


def ready_slots(states: Iterable[WorkerState]) -> list[tuple[int, int]]:
    """Return each slot that has a ready worker of its own, with that worker's pid."""
    return [(state.slot, state.pid) for state in states if state.slot is not None and state.is_ready]
