"""Why a worker has not started, or has not ended cleanly: said in its log, and left to the arbiter."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from slipway.project import ROOT
from slipway.serving import standing
from slipway.serving.faults import describe
from slipway.serving.first_error import FirstError
from slipway.serving.handover import Report
from slipway.serving.result import STANDS

HANG_SECONDS = 1.0  # before the arbiter ends a start that hangs, the worker says where it stands

log = logging.getLogger("gunicorn.error")


class FailureReport:
    """Of one worker, from the beginning of its start on."""

    def __init__(self, report: Report, timeout: float) -> None:
        self._report = report
        self._timeout = timeout  # seconds in which a worker has to get ready
        self._starting = standing.watch(timeout - HANG_SECONDS, self._tell_hang, ROOT)
        self.is_ready = False  # until then an error is one of the start

    def stop_watching(self) -> None:
        """The start does not hang."""
        self._starting.cancel()

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """Leave why the block has failed: of a start its first error that was logged, else what the block raises."""
        failure = FirstError()
        for name in ("uvicorn.error", "gunicorn.error"):
            logging.getLogger(name).addHandler(failure)
        try:
            yield
        except Exception as error:
            if self.is_ready:
                self.leave(describe(error))
            raise
        finally:
            if not self.is_ready:
                self._report.write(failure.text)

    def leave(self, reason: str) -> None:
        """Log in one line why this was no clean end, and leave it to the arbiter, in place of an earlier note."""
        log.error("The worker did not end cleanly: %s", reason)
        self._report.write(reason)

    def _tell_hang(self, place: str) -> None:
        """Say where a start stands, shortly before the arbiter ends it."""
        if place and not self.is_ready:
            self._report.write(f"{STANDS} ({place})")
            seconds = self._timeout - HANG_SECONDS
            what = "A worker is not ready after %g s of %g (TIMEOUT), and %s (%s)"
            log.error(what, seconds, self._timeout, STANDS, place)
