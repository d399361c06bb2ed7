"""Watches which workers are ready, which hang, and which are late to end.

Stock behaviour that this replaces: a startup that hangs is never noticed; the time in which all processes were frozen
counts as missed heartbeats, and every worker is killed at the thaw.
"""

import logging
import signal
from collections.abc import Callable

from slipway.serving.clock import RunningClock
from slipway.serving.roster import Roster, WorkerState
from slipway.serving.settings import ServerSettings

log = logging.getLogger("gunicorn.error")

SERVED_SECONDS = 1.0  # a worker that was ready for longer did not fail to start
ABORT_SECONDS = 1.0  # between SIGABRT, on which a worker writes its stacks, and SIGKILL

Kill = Callable[[int, int], None]  # pid and signal


class Watch:
    """Reads heartbeats, and ends workers that hang."""

    def __init__(self, roster: Roster, clock: RunningClock, settings: Callable[[], ServerSettings], kill: Kill) -> None:
        self._roster = roster
        self._clock = clock
        self._settings = settings
        self._kill_worker = kill

    def newly_ready(self) -> list[WorkerState]:
        """Read all heartbeats; return the workers whose first one was seen: their startup is over."""
        now = self._clock.now()
        found = []
        for state in self._roster:
            beat = state.heartbeat()
            if beat != state.last_beat:
                state.last_beat, state.beat_at = beat, now
                if state.ready_at is None:
                    state.ready_at = now
                    found.append(state)
            if state.ready_at is not None and now - state.ready_at > SERVED_SECONDS:
                state.has_served = True
        return found

    def end_hanging(self) -> None:
        """Abort workers without a heartbeat, and kill those that do not end in time when told."""
        settings, now = self._settings(), self._clock.now()
        for state in self._roster:
            if state.aborted_at is not None:
                if now - state.aborted_at > ABORT_SECONDS:
                    self.kill(state, "has not ended by itself")
            elif settings.timeout and now - state.beat_at > settings.timeout:
                self._abort(state, now - state.beat_at)
            elif state.retired_at is not None and now - state.retired_at > settings.graceful_timeout:
                self.kill(state, f"is still there {settings.graceful_timeout:g} s after it was told to stop")

    def retire(self, state: WorkerState) -> None:
        """Tell a worker to drain and end."""
        if state.retired_at is None:
            state.retired_at = self._clock.now()
            self._kill_worker(state.pid, signal.SIGTERM)

    def kill(self, state: WorkerState, why: str) -> None:
        """Kill a worker, and log why."""
        if not state.killed_because:
            state.killed_because = why
            log.error("Worker (pid:%s) %s; killed", state.pid, why)
            self._kill_worker(state.pid, signal.SIGKILL)

    def _abort(self, state: WorkerState, seconds: float) -> None:
        what = "no sign of life" if state.is_ready else "not ready"
        log.critical("WORKER TIMEOUT (pid:%s): %s for %g s", state.pid, what, round(seconds, 1))
        state.aborted_at = self._clock.now()
        self._kill_worker(state.pid, signal.SIGABRT)
