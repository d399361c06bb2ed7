"""Logs why a worker has not started or has not ended cleanly, and leaves the reason to the arbiter."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from slipway.project import ROOT
from slipway.serving import standing
from slipway.serving.faults import describe
from slipway.serving.first_error import FirstError
from slipway.serving.handover import Report
from slipway.serving.result import STANDS

HANG_SECONDS = 1.0  # between a hanging worker's report of its place and its end by the arbiter

log = logging.getLogger("gunicorn.error")


class FailureReport:
    """The report of one worker, from the beginning of its start."""

    def __init__(self, report: Report, timeout: float) -> None:
        self._report = report
        self._timeout = timeout  # seconds within which a worker must be ready
        self._starting = standing.watch(timeout - HANG_SECONDS, self._tell_hang, ROOT)
        self.is_ready = False  # before that, an error belongs to the start

    def stop_watching(self) -> None:
        """Cancel the watch for a hanging start."""
        self._starting.cancel()

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """Leave why the block failed: during a start its first logged error, later the exception raised."""
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
        """Log in one line why the end was not clean, and leave that to the arbiter in place of an earlier reason."""
        log.error("The worker did not end cleanly: %s", reason)
        self._report.write(reason)

    def _tell_hang(self, place: str) -> None:
        """Report where a start hangs, shortly before the arbiter ends it."""
        if place and not self.is_ready:
            self._report.write(f"{STANDS} ({place})")
            seconds = self._timeout - HANG_SECONDS
            what = "A worker is not ready after %g s of %g (TIMEOUT), and %s (%s)"
            log.error(what, seconds, self._timeout, STANDS, place)
