"""gunicorn's arbiter, changed in how it replaces workers: the successor is ready before the old one drains.

Stock behaviour that this answers: a reload tells the old workers to stop before the new ones have started, and a dead
worker is not replaced while another drains. See slipway/serving/watch.py and slipway/serving/stop.py for the rest.
"""

import os
import signal
import tempfile
from typing import Any

from slipway.serving.config import Settings
from slipway.serving.reload import Reload
from slipway.serving.slots import Loans, emptiest, lend_orphans
from slipway.serving.status import Status
from slipway.serving.table import Table
from slipway.serving.watch import Watchful

STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}


class Arbiter(Watchful):
    """Workers carry besides: `slot`, `successor_of`, and `reason`, why one has failed to start."""

    settings: Settings  # set on the class by gunicorn.conf.py

    def __init__(self, app: Any) -> None:
        self.reloading: Reload | None = None
        self.reload_again = False
        self.reloads = 0
        self.status = Status(self.settings)
        self.table = Table(app.cfg.worker_tmp_dir)
        self.loans = Loans(len(app.cfg.address)) if self.settings.has_slots else None
        super().__init__(app)

    def adopt(self, settings: Settings) -> None:
        """Use these from now on; workers find them on their class."""
        type(self).settings = self.worker_class.settings = settings

    # Starting workers

    def spawn_worker(self) -> int:
        """Start a worker in the slot that needs one most."""
        return self._spawn(None)

    def _spawn(self, predecessor: Any) -> int:
        self._next_predecessor = predecessor
        # A signal to stop that reached the child before it has handlers of its own would be lost in a copy of our
        # queue; the post_fork hook lets it through.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            pid: int = super().spawn_worker()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        self.watch(self.WORKERS[pid])
        return pid

    def prepare(self, worker: Any) -> None:
        """Called before each fork (the pre_fork hook): give the worker its slot's listener."""
        worker.successor_of, worker.slot, worker.reason = self._next_predecessor, None, ""
        worker.ready_at = worker.retired_at = worker.aborted_at = None
        worker.proven = worker.killed = False
        folder = self.cfg.worker_tmp_dir
        worker.note = tempfile.TemporaryFile(buffering=0, dir=folder)  # noqa: SIM115 (closed when the worker has ended)
        worker.loans, worker.listeners = self.loans, self.LISTENERS
        worker.row = self.table.new_row(other.row for other in self.WORKERS.values())
        if self.loans is not None:
            taken = [other.slot for other in self.WORKERS.values() if other.retired_at is None]
            worker.slot = worker.successor_of.slot if worker.successor_of else emptiest(len(self.LISTENERS), taken)
            worker.sockets = [self.LISTENERS[worker.slot]]

    def manage_workers(self) -> None:
        """Called after every signal and at least once a second: bring what runs closer to what should run."""
        self.look_at_workers()
        if self.reloading is not None:
            self.reloading.step()
        serving = [
            worker for worker in self.WORKERS.values() if worker.retired_at is None and worker.successor_of is None
        ]
        self._recycle(serving)
        for _ in range(self.num_workers - len(serving)):
            if not self.held_back():
                self._spawn(None)
        for worker in self._surplus(serving):
            self.retire(worker)
        ready = [(worker.slot, worker.pid) for worker in serving if worker.ready_at is not None]
        if self.loans is not None:
            lend_orphans(self.loans, len(self.LISTENERS), ready)
        self.status.serving([pid for _, pid in ready])

    def _recycle(self, serving: list[Any]) -> None:
        """Replace workers that have done their share, one at a time, so that a common cause does not double us."""
        if any(worker.successor_of for worker in self.WORKERS.values()):
            return
        spent = next((worker for worker in serving[: self.num_workers] if _wants_successor(worker)), None)
        if spent is not None and self.start_successor(spent):
            self.log.info("Worker (pid:%s) has done its share and is replaced", spent.pid)

    def start_successor(self, worker: Any) -> int | None:
        """Start a worker that takes over from another; return its pid, None while starts are held back."""
        return None if self.held_back() else self._spawn(worker)

    def has_successor(self, worker: Any) -> bool:
        return any(other.successor_of is worker for other in self.WORKERS.values())

    def _surplus(self, serving: list[Any]) -> list[Any]:
        """The workers too many: first those that share a slot, of these the oldest."""
        slots = [worker.slot for worker in serving]
        by_need = sorted(serving, key=lambda worker: (-slots.count(worker.slot), worker.age))
        return by_need[: max(0, len(serving) - self.num_workers)]

    # What becomes of them

    def became_ready(self, worker: Any) -> None:
        predecessor, worker.successor_of = worker.successor_of, None
        if predecessor is not None and predecessor.pid in self.WORKERS:
            self.retire(predecessor)
        if sum(other.ready_at is not None for other in self.WORKERS.values()) >= self.num_workers:
            self.status.ready(os.getpid(), self.num_workers, self.table.path)

    def buried(self, worker: Any) -> None:
        """Called when a worker's process has ended (the child_exit hook)."""
        super().buried(worker)
        worker.row.clear()
        for other in self.WORKERS.values():
            if other.successor_of is worker:
                other.successor_of = None  # it takes the place without waiting

    def handle_ttou(self) -> None:
        """SIGTTOU: one worker less; its slot is lent to others, if their class can borrow."""
        borrows = self.loans is None or hasattr(self.worker_class, "loans")
        if borrows or self.num_workers > len(self.LISTENERS):
            super().handle_ttou()
        else:
            self.log.warning("SIGTTOU is ignored: %s can't serve another's slot", self.cfg.worker_class_str)

    def reload(self) -> None:
        """SIGHUP: see reload.py; it goes on in steps, so that signals and deaths are handled meanwhile."""
        if self.reloading is not None:
            self.reload_again = True  # what has changed since it began may have come too late for it
            return
        self.reload_again = False
        self.reloads += 1
        self.reloading = Reload(self)

    def reload_ended(self) -> None:
        """Called by the reload itself."""
        self.reloading = None
        if self.reload_again:
            self.reload()


def _wants_successor(worker: Any) -> bool:
    """A note of one that serves says this; of one that does not, why it has failed to start."""
    return worker.ready_at is not None and os.fstat(worker.note.fileno()).st_size > 0
