"""Runs the service in guarded steps: watches workers, replaces them, reloads, and writes the status.

Independent of gunicorn: it uses the server as a `Host`, which the arbiter implements.
"""

import logging
import os
from collections.abc import Mapping

from slipway.serving.backoff import Backoff
from slipway.serving.clock import RunningClock
from slipway.serving.crew import Crew, ready_slots
from slipway.serving.guarded_steps import GuardedSteps
from slipway.serving.host import Host
from slipway.serving.reloads import Reloads
from slipway.serving.roster import Roster, WorkerState
from slipway.serving.server_metrics import ServerMetrics
from slipway.serving.slots import Loans, lend_orphans
from slipway.serving.sockets import SocketFiles
from slipway.serving.status import Status
from slipway.serving.watch import Watch

log = logging.getLogger("gunicorn.error")


class Service:
    """Holds the parts of the process model, and runs their steps."""

    def __init__(self, host: Host, slots: int) -> None:
        self.steps = GuardedSteps()
        self.clock = RunningClock()
        self.roster = Roster()
        self.loans = Loans(slots) if host.settings.has_slots else None
        self.status = Status(host.settings)
        self.watch = Watch(self.roster, self.clock, lambda: host.settings, host.kill_worker)
        self.crew = Crew(self.roster, self.clock, self.watch, Backoff(self.clock), host)
        self.reloads = Reloads(host, self.roster, self.clock, self.crew, self.status)
        self.metrics = ServerMetrics(host.settings, self.roster, lambda: host.LISTENERS)
        self.has_been_ready = False
        self._host = host
        self._files: SocketFiles | None = None

    def step(self) -> None:
        """Bring the running workers closer to those that should run."""
        self.clock.tick()
        host = self._host
        for what, part in (
            ("looking at workers", self._look),
            ("reloading", self.reloads.step),
            ("handing places over", self.crew.hand_over_places),
            ("replacing workers", lambda: self.crew.replace(self._is_spent, host.num_workers)),
            ("starting workers", lambda: self.crew.fill(host.num_workers)),
            ("retiring workers", lambda: self.crew.retire_surplus(host.num_workers)),
            ("lending slots", self._lend),
            ("counting reloads", lambda: self.metrics.reloaded(self.reloads.results["done"])),
            ("restoring sockets", self._restore_sockets),
            ("telling the status", self._tell),
        ):
            self.steps.run(what, part)

    def end_hanging(self) -> None:
        """End workers that hang."""
        self.clock.tick()
        self.steps.run("ending workers that hang", self.watch.end_hanging)

    @property
    def is_busy(self) -> bool:
        """Whether a start, an end or a reload is under way, so that the next step should come soon."""
        settled = len(self.roster) == self._host.num_workers and all(state.is_ready for state in self.roster)
        return self.reloads.running is not None or not settled

    def worker_ended(self, pid: int, wait_status: int | None) -> None:
        """Take note of the end of a worker's process."""
        state = self.roster.remove(pid)
        if state is not None:
            state.ended(wait_status)
            self.crew.ended(state)
            self.steps.run("counting a worker's end", self.metrics.ended, state)

    def stopping(self) -> None:
        """Mark all workers as retired, since they are told to end, and abandon a running reload."""
        for state in self.roster:
            state.retired_at = self.clock.now() if state.retired_at is None else state.retired_at
        self.reloads.abandon()

    def figures(self) -> dict[str, float | Mapping[str, float]]:
        """Return the arbiter's own figures, by the names of metrics."""
        return {
            "slipway_workers": float(self._host.num_workers),
            "slipway_reloads": {"done": 0.0, "refused": 0.0, **self.reloads.results},
            "slipway_unclean_drains": float(self.crew.unclean_ends),
            "slipway_arbiter_faults": float(sum([*self.steps.faults.values()])),
        }

    def _look(self) -> None:
        for state in self.watch.newly_ready():
            self.has_been_ready = True
            self.crew.backoff.succeeded(state.spawned_at)
            if self.reloads.refused_at_age is not None and self.reloads.running is None:
                log.warning("Worker (pid:%s) runs the code on disk, and the last reload was refused", state.pid)
        if sum(state.is_ready for state in self.roster) >= self._host.num_workers:
            self.status.ready()

    def _is_spent(self, state: WorkerState) -> bool:
        if state.handover.mailbox.wants_successor:
            return True
        served = [*range(len(self._host.LISTENERS))]
        if self.loans is not None and state.slot is not None:
            served = [state.slot, *self.loans.of(state.pid)]
        return self._files is not None and self._files.are_old(served, state.age)

    def _lend(self) -> None:
        slots = len(self._host.LISTENERS)
        if self.loans is not None and lend_orphans(self.loans, slots, ready_slots(self.roster.serving())):
            for state in self.roster:
                state.handover.mailbox.ring()

    def _restore_sockets(self) -> None:
        if not self._host.LISTENERS or not self._host.owns_files():
            return
        if self._files is None:
            self._files = SocketFiles(self._host.LISTENERS, self._host.bind)
        for number in self._files.missing():
            owners = [state for state in self.roster.serving() if state.slot in (None, number)]
            if not owners or any(state.is_ready for state in owners):  # else clients in the old queue would be lost
                self._files.restore(number, self._host.worker_age)

    def _tell(self) -> None:
        serving = [state for state in self.roster.serving() if state.is_ready]
        refused_at = self.reloads.refused_at_age
        self.status.tell(
            pid=os.getpid(),
            workers=self._host.num_workers,
            reason=self._host.settings.workers_reason,
            serving=[state.pid for state in serving],
            on_refused_code=[state.pid for state in serving if refused_at is not None and state.age > refused_at],
            failed_starts=self.crew.backoff.failed_starts,
            restored_sockets=self._files.restored if self._files is not None else 0,
            unclean_ends=self.crew.unclean_ends,
            last_unclean_end=self.crew.last_unclean_end,
            faults=dict(self.steps.faults),
        )
        self.status.write()
