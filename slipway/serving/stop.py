"""The arbiter's end. Stock behaviour that this answers:

* a missing socket file ends the stop with a traceback and leaves the workers behind;
* the time for it is counted by the wall clock, a step of which kills workers that still answer.
"""

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gunicorn.arbiter

if TYPE_CHECKING:
    from slipway.serving.reload import Reload
    from slipway.serving.status import Status

NEVER = -1  # an exit code that no process has
QUICK_SECONDS = 4.0  # SIGINT and SIGQUIT: about three are the workers' own
POLL_SECONDS = 0.05


class Stoppable(gunicorn.arbiter.Arbiter):
    """Stops within the graceful time-out, whatever has become of sockets, clocks and workers."""

    status: "Status"
    reloading: "Reload | None"

    def stop(self, graceful: bool = True) -> None:
        """Close the listeners, end all workers, and kill those that are late."""
        if self.reexec_pid == self.master_pid == 0:  # after SIGUSR2 another arbiter has the same files
            self.status.stopping()
        if self.reloading is not None:
            self.reloading.abandon()
        self.forgive_failed_starts()
        self._close_listeners()
        self.kill_workers(signal.SIGTERM if graceful else signal.SIGQUIT)
        self._await_workers(self.cfg.graceful_timeout if graceful else self._quick_seconds())
        self.kill_workers(signal.SIGKILL)
        super().stop(graceful)

    def forgive_failed_starts(self) -> None:
        """From now on a worker that fails to start is replaced like any other that dies, and does not end us.

        https://github.com/benoitc/gunicorn/issues/2443
        """
        self.WORKER_BOOT_ERROR = self.APP_LOAD_ERROR = NEVER

    def _close_listeners(self) -> None:
        """First of all: who comes now is refused and may go elsewhere; workers still answer whom they have."""
        unlink = self.reexec_pid == self.master_pid == 0 and not self.systemd
        for listener in self.LISTENERS:
            name: Any = listener.getsockname()
            listener.close()
            if unlink and isinstance(name, str) and name:
                Path(name).unlink(missing_ok=True)
        self.LISTENERS: list[Any] = []

    def _await_workers(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.WORKERS and time.monotonic() < deadline:
            if {signal.SIGINT, signal.SIGQUIT} & {*self.wait_for_signals(POLL_SECONDS)}:
                self.log.info("Quick shutdown requested")
                self.kill_workers(signal.SIGQUIT)
                deadline = min(deadline, time.monotonic() + self._quick_seconds())
            self.reap_workers()

    def _quick_seconds(self) -> float:
        return min(QUICK_SECONDS, float(self.cfg.graceful_timeout))
