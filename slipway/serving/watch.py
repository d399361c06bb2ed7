"""How the arbiter watches its workers: which are ready, which hang, which fail and must not be started too often.

Stock behaviour that this answers: a startup that hangs is never noticed, a crash loop does not back off, and one
failing startup, whenever it happens, halts the whole service (https://github.com/benoitc/gunicorn/issues/2443).
"""

import signal
import time
from typing import Any

from slipway.serving.stop import POLL_SECONDS, Stoppable

BACKOFF_SECONDS = (0.1, 5.0)  # first and longest pause between two starts that fail
YOUNG_SECONDS = 0.3  # the same after one that was ready, but not for long: it may have been killed by chance
PROVEN_SECONDS = 1.0  # a worker that has served for so long did not fail
ABORT_SECONDS = 1.0  # what a worker gets to write its stacks before it is killed


class Watchful(Stoppable):
    """Workers carry what we know of them: `born`, `spawned_at`, `ready_at`, `proven`, `retired_at`, `aborted_at`."""

    def __init__(self, app: Any) -> None:
        self.failures = 0
        self.failed_at = self.spawn_after = 0.0
        super().__init__(app)

    def watch(self, worker: Any) -> None:
        """Begin with one that was just started."""
        worker.born = worker.tmp.last_update()
        worker.spawned_at = time.monotonic()

    def became_ready(self, worker: Any) -> None:
        """Its first heartbeat was seen: its startup is over, and it serves."""

    def look_at_workers(self) -> None:
        """Called many times a second while something is under way, else once."""
        now = time.monotonic()
        for worker in list(self.WORKERS.values()):
            if worker.ready_at is None and worker.tmp.last_update() != worker.born:
                worker.ready_at = now
                if worker.spawned_at > self.failed_at:
                    self.failures = 0
                self.forgive_failed_starts()
                self.became_ready(worker)
            if worker.ready_at is not None and not worker.proven and now - worker.ready_at > PROVEN_SECONDS:
                worker.proven = True
            if worker.retired_at is not None and now - worker.retired_at > self.cfg.graceful_timeout:
                self._kill(worker, "is still there %g s after it was told to stop", self.cfg.graceful_timeout)

    def murder_workers(self) -> None:
        """End workers that hang: in startup, when the heartbeat has not begun, or later."""
        now = time.monotonic()
        for worker in list(self.WORKERS.values()):
            last = worker.spawned_at if worker.ready_at is None else worker.tmp.last_update()
            if worker.aborted_at is not None:
                if now - worker.aborted_at > ABORT_SECONDS:
                    self._kill(worker, "has not ended by itself")
            elif self.timeout and now - last > self.timeout:
                what = "not ready" if worker.ready_at is None else "no sign of life"
                self.log.critical("WORKER TIMEOUT (pid:%s): %s for %g s", worker.pid, what, now - last)
                worker.aborted_at = now
                self.kill_worker(worker.pid, signal.SIGABRT)

    def _kill(self, worker: Any, why: str, *values: object) -> None:
        if not worker.killed:
            worker.killed = True
            self.log.error(f"Worker (pid:%s) {why}; killed", worker.pid, *values)
            self.kill_worker(worker.pid, signal.SIGKILL)

    def retire(self, worker: Any) -> None:
        """Tell a worker to drain and end."""
        if worker.retired_at is None:
            worker.retired_at = time.monotonic()
            self.kill_worker(worker.pid, signal.SIGTERM)

    def buried(self, worker: Any) -> None:
        """Called when a worker's process has ended: after a failure the next start waits."""
        worker.note.seek(0)
        worker.reason = worker.note.read().decode(errors="replace")
        worker.note.close()
        if worker.proven or worker.retired_at is not None or not self.LISTENERS:
            return
        self.failed_at = time.monotonic()
        pause = YOUNG_SECONDS
        if worker.ready_at is None:
            first, longest = BACKOFF_SECONDS
            pause = min(first * 2**self.failures, longest)
            self.failures += 1
        self.spawn_after = self.failed_at + pause
        self.log.warning("Worker (pid:%s) ended soon after its start; the next start is in %g s", worker.pid, pause)

    def held_back(self) -> bool:
        return time.monotonic() < self.spawn_after

    def wait_for_signals(self, timeout: float = 1.0) -> list[int]:
        """Look more often while something is under way."""
        busy = self.reloading is not None or len(self.WORKERS) != self.num_workers
        busy = busy or not all(worker.ready_at is not None for worker in self.WORKERS.values())
        signals: list[int] = super().wait_for_signals(min(timeout, POLL_SECONDS) if busy else timeout)
        return signals
