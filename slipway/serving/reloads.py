"""Reloads one after another, and what workers should run after them."""

import logging
from collections import Counter

from slipway.serving.check import Check
from slipway.serving.clock import RunningClock
from slipway.serving.crew import Crew, StartFailedError
from slipway.serving.host import Host
from slipway.serving.reload import RefusedError, Reload
from slipway.serving.result import CHANGED_PACKAGES
from slipway.serving.roster import Roster, WorkerState
from slipway.serving.status import Status

log = logging.getLogger("gunicorn.error")


class Reloads:
    """Begins reloads, and does for them what they need."""

    def __init__(self, host: Host, roster: Roster, clock: RunningClock, crew: Crew, status: Status) -> None:
        self.roster = roster
        self.clock = clock
        self.running: Reload | None = None
        self.planned_workers = 0  # how many there will be after a reload that adds some
        # Workers with a higher age run code that a reload has refused; None if the last one was done.
        self.refused_at_age: int | None = None
        self._host = host
        self._crew = crew
        self._status = status
        self._number = 0
        self.results: Counter[str] = Counter()
        self._again = False

    def begin(self) -> None:
        """Begin a reload; one that is asked for during another follows it, since its changes may have come too late."""
        if self.running is not None:
            self._again = True
            return
        self._again = False
        self._number += 1
        self.running = Reload(self, self._status, self._number)

    def step(self) -> None:
        """Go on with the one that runs."""
        if self.running is None:
            return
        self.running.step()
        if self.running.ended:
            self.refused_at_age = None
            self.results[self._status.last_reload["state"]] += 1
            if self._status.last_reload["state"] == "refused":
                new_code = self.running.newest_age
                self.refused_at_age = self._host.worker_age if new_code is None else new_code
            self.running = None
            if self._again:
                self.begin()

    def abandon(self) -> None:
        """The server stops."""
        if self.running is not None:
            self.running.abandon()

    # What a reload needs

    @property
    def timeout(self) -> float:
        """Seconds in which a worker has to get ready."""
        return self._host.settings.timeout

    @property
    def num_workers(self) -> int:
        """How many workers should run."""
        return self._host.num_workers

    def new_checks(self) -> list[Check]:
        """What has to succeed before new settings are used."""
        return self._host.configuration.checks(self.clock)

    def take_configuration(self) -> None:
        """Use the new configuration."""
        self._host.configuration.take()
        self.planned_workers = self._host.configuration.new_size() or 0
        changed = self._host.configuration.changed_packages()
        self._status.tell(changed_packages=changed)
        if changed:
            log.warning("%s: %s", CHANGED_PACKAGES, ", ".join(changed))

    def restore_configuration(self) -> None:
        """Use the one from before."""
        self.planned_workers = 0
        self._host.configuration.restore()

    def start_successor(self, predecessor: WorkerState) -> WorkerState | None:
        """Start a worker that takes over; None while starts are held back."""
        try:
            return self._crew.start(predecessor)
        except StartFailedError as error:
            raise RefusedError(str(error)) from None

    def resize(self) -> None:
        """Run as many workers as the new configuration says."""
        size = self._host.configuration.new_size()
        self.planned_workers = 0
        if size is not None:
            self._host.num_workers = size
        elif self._host.num_workers == 0:  # after SIGWINCH
            self._host.num_workers = self._host.settings.workers
