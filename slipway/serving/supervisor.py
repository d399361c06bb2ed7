"""Runs the service: looks at workers, replaces them, reloads, and tells others; each step on its own.

Knows nothing of gunicorn: what it needs of the server is `Host`, and the arbiter has it.
"""

import logging
import os
from typing import Any, Protocol

from slipway.serving.backoff import Backoff
from slipway.serving.check import Check
from slipway.serving.clock import RunningClock
from slipway.serving.config import Settings
from slipway.serving.crew import Crew, Forks, StartFailedError, ready_slots
from slipway.serving.guard import Guard
from slipway.serving.reload import RefusedError, Reload
from slipway.serving.roster import Roster, WorkerState
from slipway.serving.slots import Loans, lend_orphans
from slipway.serving.sockets import SocketFiles
from slipway.serving.status import Status
from slipway.serving.watch import Watch

log = logging.getLogger("gunicorn.error")


class Configuration(Protocol):
    """How a reload changes the configuration."""

    def checks(self, clock: RunningClock) -> list[Check]:
        """Read new settings; return what has to succeed before they are used."""

    def take(self) -> None:
        """Use the new configuration."""

    def restore(self) -> None:
        """Use the one from before."""

    def new_size(self) -> int | None:
        """How many workers the new configuration wants, None if it wants as many as the old one."""


class Host(Forks, Protocol):
    """What is needed of the server."""

    settings: Settings
    configuration: Configuration
    LISTENERS: list[Any]
    num_workers: int
    worker_age: int

    def kill_worker(self, pid: int, sig: int) -> None:
        """Send a signal to a worker."""

    def bind(self, path: str) -> Any:
        """A new listener on a unix socket."""

    def owns_files(self) -> bool:
        """Whether no other arbiter has the same listeners, as after SIGUSR2."""


class Supervisor:
    """Has the parts, and takes their steps."""

    def __init__(self, host: Host, slots: int) -> None:
        self.guard = Guard()
        self.clock = RunningClock()
        self.roster = Roster()
        self.loans = Loans(slots) if host.settings.has_slots else None
        self.status = Status(host.settings)
        self.watch = Watch(self.roster, self.clock, lambda: host.settings, host.kill_worker)
        self.crew = Crew(self.roster, self.clock, self.watch, Backoff(self.clock), host)
        self.reloading: Reload | None = None
        self.has_been_ready = False
        self.wanted = 0  # workers, as of the end of a reload that adds some
        self._host = host
        self._files: SocketFiles | None = None
        self._reloads = 0
        self._reload_again = False
        self._refused_at_age: int | None = None  # workers with a higher one run code that a reload has refused

    def step(self) -> None:
        """Bring what runs closer to what should run."""
        self.clock.tick()
        wanted = self._host.num_workers
        for what, part in (
            ("looking at workers", self._look),
            ("reloading", self._step_reload),
            ("handing places over", self.crew.hand_over_places),
            ("replacing workers", lambda: self.crew.replace(self._is_spent, wanted)),
            ("starting workers", lambda: self.crew.fill(self._host.num_workers)),
            ("retiring workers", lambda: self.crew.retire_surplus(self._host.num_workers)),
            ("lending slots", self._lend),
            ("restoring sockets", self._restore_sockets),
            ("telling the status", self._tell),
        ):
            self.guard.run(what, part)

    def end_hanging(self) -> None:
        """End workers that hang."""
        self.clock.tick()
        self.guard.run("ending workers that hang", self.watch.end_hanging)

    @property
    def is_busy(self) -> bool:
        """Whether something is under way, so that the next step should come soon."""
        settled = len(self.roster) == self._host.num_workers and all(state.is_ready for state in self.roster)
        return self.reloading is not None or not settled

    def worker_ended(self, pid: int, wait_status: int | None) -> None:
        """Take note of the end of a worker's process."""
        state = self.roster.remove(pid)
        if state is not None:
            state.ended(wait_status)
            self.crew.ended(state)

    def reload(self) -> None:
        """Begin a reload; it goes on in steps, so that signals and deaths are handled meanwhile."""
        if self.reloading is not None:
            self._reload_again = True  # what has changed since it began may have come too late for it
            return
        self._reload_again = False
        self._reloads += 1
        self.reloading = Reload(self, self.status, self._reloads)

    def stopping(self) -> None:
        """All workers are told to end now."""
        for state in self.roster:
            state.retired_at = self.clock.now() if state.retired_at is None else state.retired_at
        if self.reloading is not None:
            self.reloading.abandon()

    # What a reload needs

    @property
    def timeout(self) -> float:
        return self._host.settings.timeout

    @property
    def num_workers(self) -> int:
        return self._host.num_workers

    def new_checks(self) -> list[Check]:
        return self._host.configuration.checks(self.clock)

    def take_configuration(self) -> None:
        self._host.configuration.take()
        self.wanted = max(self._host.num_workers, self._host.configuration.new_size() or 0)

    def restore_configuration(self) -> None:
        self.wanted = 0
        self._host.configuration.restore()

    def start_successor(self, predecessor: WorkerState) -> WorkerState | None:
        try:
            return self.crew.start(predecessor)
        except StartFailedError as error:
            raise RefusedError(str(error)) from None

    def resize(self) -> None:
        size = self._host.configuration.new_size()
        self.wanted = 0
        if size is not None:
            self._host.num_workers = size
        elif self._host.num_workers == 0:  # after SIGWINCH
            self._host.num_workers = self._host.settings.workers

    # Parts of a step

    def _look(self) -> None:
        for state in self.watch.newly_ready():
            self.has_been_ready = True
            self.crew.backoff.succeeded(state.spawned_at)
            if self._refused_at_age is not None and self.reloading is None:
                log.warning("Worker (pid:%s) runs the code on disk, and the last reload was refused", state.pid)
        if sum(state.is_ready for state in self.roster) >= self._host.num_workers:
            self.status.ready()

    def _step_reload(self) -> None:
        if self.reloading is None:
            return
        self.reloading.step()
        if self.reloading.ended:
            self._refused_at_age = None
            if self.status.last_reload["state"] == "refused":
                new_code = self.reloading.newest_age
                self._refused_at_age = self._host.worker_age if new_code is None else new_code
            self.reloading = None
            if self._reload_again:
                self.reload()

    def _is_spent(self, state: WorkerState) -> bool:
        if state.handover.mailbox.wants_successor:
            return True
        served = [*range(len(self._host.LISTENERS))]
        if self.loans is not None and state.slot is not None:
            served = [state.slot, *self.loans.of(state.pid)]
        return self._files is not None and self._files.are_old(served, state.age)

    def _lend(self) -> None:
        if self.loans is not None:
            lend_orphans(self.loans, len(self._host.LISTENERS), ready_slots(self.roster.serving()))

    def _restore_sockets(self) -> None:
        if not self._host.LISTENERS or not self._host.owns_files():
            return
        if self._files is None:
            self._files = SocketFiles(self._host.LISTENERS, self._host.bind)
        for number in self._files.missing():
            owners = [state for state in self.roster.serving() if state.slot in (None, number)]
            if not owners or any(state.is_ready for state in owners):  # else what waits in the old queue would be lost
                self._files.restore(number, self._host.worker_age)

    def _tell(self) -> None:
        serving = [state for state in self.roster.serving() if state.is_ready]
        refused_at = self._refused_at_age
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
            faults=dict(self.guard.faults),
        )
        self.status.write()
