"""Runs reloads one after another, and knows which workers run refused code after them."""

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
    """Begins reloads, and is the `Reloadable` that they use."""

    def __init__(self, host: Host, roster: Roster, clock: RunningClock, crew: Crew, status: Status) -> None:
        self.roster = roster
        self.clock = clock
        self.running: Reload | None = None
        self.planned_workers = 0  # number after the running reload, if it changes that; else 0
        # Workers with a higher age run code that a reload has refused; None if the last reload was done.
        self.refused_at_age: int | None = None
        self._host = host
        self._crew = crew
        self._status = status
        self._number = 0
        self.results: Counter[str] = Counter()
        self._again = False

    def begin(self) -> None:
        """Begin a reload; during another one, begin it after that, which may have started before the newest changes."""
        if self.running is not None:
            self._again = True
            return
        self._again = False
        self._number += 1
        self.running = Reload(self, self._status, self._number)

    def step(self) -> None:
        """Take the running reload's next step."""
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
        """Abandon the running reload, because the server stops."""
        if self.running is not None:
            self.running.abandon()

    # `Reloadable`

    @property
    def timeout(self) -> float:
        """Seconds within which a worker must be ready."""
        return self._host.settings.timeout

    @property
    def num_workers(self) -> int:
        """The number of workers that should run."""
        return self._host.num_workers

    def new_checks(self) -> list[Check]:
        """Return the checks that must pass before new settings are used."""
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
        """Use the previous configuration again."""
        self.planned_workers = 0
        self._host.configuration.restore()

    def start_successor(self, predecessor: WorkerState) -> WorkerState | None:
        """Start a successor; return None while starts are held back."""
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
