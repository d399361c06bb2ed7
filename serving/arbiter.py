"""gunicorn's arbiter, changed in how it replaces workers: the successor is ready before the old one drains.

Stock behaviour that this answers: a reload tells the old workers to stop before the new ones have started, and one
failing startup, whenever it happens, halts the whole service (https://github.com/benoitc/gunicorn/issues/2443); a dead
worker is not replaced while another drains; a startup that hangs is never noticed; a crash loop does not back off; a
missing socket file ends the stop with a traceback and leaves the workers behind.
"""

import os
import signal
import time
from pathlib import Path
from typing import Any

import gunicorn.arbiter

from serving.config import Settings
from serving.reload import Reload
from serving.slots import Loans, emptiest, lend_orphans
from serving.status import Status
from serving.worker import asks_for_successor

POLL_SECONDS = 0.05  # how soon a worker that has become ready is noticed
BACKOFF_SECONDS = (0.1, 10.0)  # first and longest pause between two starts that fail
NEVER = -1  # an exit code that no process has


class Arbiter(gunicorn.arbiter.Arbiter):
    """Workers carry what we know of them: `slot`, `born`, `spawned_at`, `successor_of`, `retired_at`."""

    settings: Settings  # set on the class by gunicorn.conf.py

    def __init__(self, app: Any) -> None:
        self.failures = 0
        self.spawn_after = 0.0
        self.reloading: Reload | None = None
        self.reloads = 0
        self.status = Status(self.settings)
        self.loans = Loans(self.settings.workers) if self.settings.has_slots else None
        super().__init__(app)

    # Starting workers

    def spawn_worker(self) -> int:
        """Start a worker in the slot that needs one most."""
        return self._spawn(None)

    def _spawn(self, predecessor: Any) -> int:
        self.next_predecessor = predecessor
        pid: int = super().spawn_worker()
        worker = self.WORKERS[pid]
        worker.born = worker.tmp.last_update()
        worker.spawned_at = time.monotonic()
        return pid

    def prepare(self, worker: Any) -> None:
        """Called before each fork (the pre_fork hook): give the worker its slot's listener."""
        worker.successor_of, worker.retired_at, worker.ready = self.next_predecessor, None, False
        worker.loans, worker.listeners = self.loans, self.LISTENERS
        worker.slot = None
        if self.loans is not None:
            taken = [other.slot for other in self.WORKERS.values() if other.retired_at is None]
            worker.slot = worker.successor_of.slot if worker.successor_of else emptiest(len(self.LISTENERS), taken)
            worker.sockets = [self.LISTENERS[worker.slot]]

    def manage_workers(self) -> None:
        """Called after every signal and at least once a second: bring what runs closer to what should run."""
        self._notice_ready()
        self._end_the_late()
        if self.reloading is not None:
            self.reloading.step()
        serving = [
            worker for worker in self.WORKERS.values() if worker.retired_at is None and worker.successor_of is None
        ]
        for worker in serving[: self.num_workers]:
            if asks_for_successor(worker) and not self._has_successor(worker):
                self.log.info("Worker (pid:%s) has done its share and is replaced", worker.pid)
                self.start_successor(worker)
        for _ in range(self.num_workers - len(serving)):
            if not self._held_back():
                self._spawn(None)
        for worker in self._surplus(serving):
            self.retire(worker)
        ready = [(worker.slot, worker.pid) for worker in serving if worker.ready]
        if self.loans is not None:
            lend_orphans(self.loans, len(self.LISTENERS), ready)
        self.status.serving([pid for _, pid in ready])

    def start_successor(self, worker: Any) -> int | None:
        """Start a worker that takes over from another; return its pid, None while starts are held back."""
        return None if self._held_back() else self._spawn(worker)

    def _has_successor(self, worker: Any) -> bool:
        return any(other.successor_of is worker for other in self.WORKERS.values())

    def _surplus(self, serving: list[Any]) -> list[Any]:
        """The workers too many: first those that share a slot, of these the oldest."""
        slots = [worker.slot for worker in serving]
        by_need = sorted(serving, key=lambda worker: (-slots.count(worker.slot), worker.age))
        return by_need[: max(0, len(serving) - self.num_workers)]

    def _held_back(self) -> bool:
        return time.monotonic() < self.spawn_after

    # Watching workers

    def _notice_ready(self) -> None:
        for worker in list(self.WORKERS.values()):
            if not worker.ready and worker.tmp.last_update() != worker.born:
                self._became_ready(worker)

    def _became_ready(self, worker: Any) -> None:
        worker.ready, self.failures = True, 0
        # From the first ready worker on, one that fails to start is replaced like any other that dies.
        self.WORKER_BOOT_ERROR = self.APP_LOAD_ERROR = NEVER
        predecessor, worker.successor_of = worker.successor_of, None
        if predecessor is not None and predecessor.pid in self.WORKERS:
            self.retire(predecessor)
        if sum(other.ready for other in self.WORKERS.values()) >= self.num_workers:
            self.status.ready(os.getpid(), self.num_workers)

    def retire(self, worker: Any) -> None:
        """Tell a worker to drain and end."""
        if worker.retired_at is None:
            worker.retired_at = time.monotonic()
            self.kill_worker(worker.pid, signal.SIGTERM)

    def _end_the_late(self) -> None:
        """Kill what drains for longer than it may."""
        for worker in list(self.WORKERS.values()):
            if worker.retired_at is not None and time.monotonic() - worker.retired_at > self.cfg.graceful_timeout:
                self.log.error(
                    "Worker (pid:%s) is still there after %s s; killed", worker.pid, self.cfg.graceful_timeout
                )
                self.kill_worker(worker.pid, signal.SIGKILL)

    def murder_workers(self) -> None:
        """End workers that hang: in startup, which the heartbeat can't tell (it has not begun), or later."""
        for worker in list(self.WORKERS.values()):
            if self.timeout and not worker.ready and time.monotonic() - worker.spawned_at > self.timeout:
                self.log.critical("WORKER TIMEOUT (pid:%s): not ready after %s s", worker.pid, self.timeout)
                self.kill_worker(worker.pid, signal.SIGKILL if worker.aborted else signal.SIGABRT)
                worker.aborted = True
        super().murder_workers()

    def buried(self, worker: Any) -> None:
        """Called when a worker's process has ended (the child_exit hook)."""
        for other in self.WORKERS.values():
            if other.successor_of is worker:
                other.successor_of = None  # it takes the place without waiting
        if not worker.ready and self.LISTENERS:
            first, longest = BACKOFF_SECONDS
            pause = min(first * 2**self.failures, longest)
            self.failures += 1
            self.spawn_after = time.monotonic() + pause
            self.log.warning("Worker (pid:%s) ended before it was ready; the next start is in %g s", worker.pid, pause)

    def wait_for_signals(self, timeout: float = 1.0) -> list[int]:
        """Look more often while something is under way."""
        busy = self.reloading is not None or len(self.WORKERS) != self.num_workers
        busy = busy or not all(worker.ready for worker in self.WORKERS.values())
        signals: list[int] = super().wait_for_signals(POLL_SECONDS if busy else timeout)
        return signals

    # Reloading and stopping

    def reload(self) -> None:
        """SIGHUP: see serving/reload.py; it goes on in steps, so that signals and deaths are handled meanwhile."""
        if self.reloading is not None:
            self.log.warning("A reload is under way; this one is ignored")
            return
        self.reloads += 1
        self.reloading = Reload(self)

    def stop(self, graceful: bool = True) -> None:
        """End all workers."""
        self.status.stopping()
        for path in self.settings.socket_paths():
            if self.LISTENERS and not Path(path).exists():
                Path(path).touch()  # gunicorn unlinks it unguarded: without the file it would die here
        self.WORKER_BOOT_ERROR = self.APP_LOAD_ERROR = NEVER
        super().stop(graceful)
