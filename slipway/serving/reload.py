"""A reload in steps: check new code and settings in a process of their own, then replace the workers one at a time.

At the first failure the serving workers go on, with the configuration that they have. The arbiter's loop calls
`Reload.step` many times a second; it never waits.
"""

import logging
from collections.abc import Iterator
from typing import Protocol

from slipway.serving.check import Check
from slipway.serving.clock import RunningClock
from slipway.serving.result import STANDS, summary
from slipway.serving.roster import Roster, WorkerState
from slipway.serving.status import Status

log = logging.getLogger("gunicorn.error")


class RefusedError(Exception):
    """The reload is refused; the message says why."""


class Reloadable(Protocol):
    """The server as a reload needs it; `Reloads` implements this."""

    roster: Roster
    clock: RunningClock

    @property
    def timeout(self) -> float:
        """Seconds within which a worker must be ready."""

    @property
    def num_workers(self) -> int:
        """The number of workers that should run."""

    def new_checks(self) -> list[Check]:
        """Read new settings; return the checks that must pass before they are used, or raise RefusedError."""

    def take_configuration(self) -> None:
        """Use new settings and code for workers that start from now on; raise RefusedError if that is not possible."""

    def restore_configuration(self) -> None:
        """Use the previous settings and code again."""

    def start_successor(self, predecessor: WorkerState) -> WorkerState | None:
        """Start a successor; return None while starts are held back; raise RefusedError if it can't be forked."""

    def resize(self) -> None:
        """Run as many workers as the new settings say."""


class Reload:
    """One reload, from SIGHUP to done or refused."""

    def __init__(self, server: Reloadable, status: Status, number: int) -> None:
        self._server = server
        self._status = status
        self._started_at = server.clock.now()
        self._check: Check | None = None
        self.newest_age: int | None = None  # of the workers with the old code; None before new code is used
        self._replaced: list[WorkerState] = []
        self._steps = self._run()
        self.number = number
        self.ended = False
        status.reloaded(number, "running")

    def step(self) -> None:
        """Go as far as possible without waiting."""
        try:
            next(self._steps)
        except StopIteration:
            self._end("done")
        except RefusedError as refused:
            self._refuse(str(refused))
        except Exception as error:
            log.exception("A step of the reload has failed")
            self._refuse(f"{type(error).__name__}: {error}")

    def abandon(self) -> None:
        """Kill the running check, if there is one."""
        if self._check is not None:
            self._check.kill()

    def _run(self) -> Iterator[None]:
        server = self._server
        for check in server.new_checks():
            yield from self._until_passed(check)
        server.take_configuration()
        old = server.roster.serving()
        self.newest_age = max((state.age for state in server.roster), default=0)
        for state in old:
            yield from self._replace(state)
        server.resize()
        yield from self._until_settled()

    def _until_passed(self, check: Check) -> Iterator[None]:
        self._check = check
        while (failure := check.failure()) is None:
            yield
        if failure:
            raise RefusedError(failure)

    def _replace(self, old: WorkerState) -> Iterator[None]:
        successor: WorkerState | None = None
        while successor is None:
            if old not in self._server.roster or old.retired_at is not None:
                return  # it has ended meanwhile, and its replacement runs the new code
            successor = self._server.roster.successor_of(old) or self._server.start_successor(old)
            yield
        while not successor.is_ready or successor.predecessor is not None:
            if successor.refused_because:
                raise RefusedError(successor.refused_because + self._half_way())
            if successor not in self._server.roster:
                raise RefusedError(self._why_ended(successor) + self._half_way())
            yield
        self._replaced.append(old)

    def _until_settled(self) -> Iterator[None]:
        """Wait until old workers are gone and added ones are ready; give up on added ones after TIMEOUT."""
        server, began_at = self._server, self._server.clock.now()
        while any(state.retired_at is not None for state in server.roster):
            yield
        while sum(state.is_ready for state in server.roster.serving()) < server.num_workers:
            if server.clock.now() - began_at > server.timeout:
                return
            yield

    def _why_ended(self, state: WorkerState) -> str:
        if state.aborted_at is not None:
            hung = f"not ready after {self._server.timeout:g} s (TIMEOUT)"
            return f"{hung}, and {state.end_reason}" if state.end_reason.startswith(STANDS) else hung
        return state.end_reason or "the new worker died in its startup"

    def _half_way(self) -> str:
        """Return a note for the operator that already replaced workers stay; empty if there are none."""
        workers = self._server.roster.serving()
        new = sum(state.age > (self.newest_age or 0) and state.is_ready for state in workers)
        return f"; {new} of {len(workers)} workers run the new code already: mend it and reload again" if new else ""

    def _refuse(self, reason: str) -> None:
        log.error("Reload refused: %s", reason)
        try:
            self.abandon()
            self._server.restore_configuration()
        except Exception:
            log.exception("The configuration from before the reload can't be restored whole")
        self._end("refused", reason)

    def _end(self, state: str, reason: str = "") -> None:
        self.ended = True
        unclean = [old.end_reason for old in self._replaced if old.end_reason]
        seconds = self._server.clock.now() - self._started_at
        log.info("Reload %d %s after %.1f s: %s", self.number, state, seconds, summary(len(self._replaced), unclean))
        self._status.reloaded(self.number, state, reason, len(self._replaced), unclean)
