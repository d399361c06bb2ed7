"""gunicorn's arbiter, with a loop that delegates to `Service`.

Stock behaviour that this replaces: a reload tells the old workers to stop before the new ones have started; a dead
worker is not replaced while another drains; one failing startup, whenever it happens, halts the whole service
(https://github.com/benoitc/gunicorn/issues/2443), and so does any error in the arbiter's own loop.
"""

from collections.abc import Iterator
from typing import Any

import gunicorn.arbiter
import gunicorn.sock
from gunicorn.errors import HaltServer

from slipway.serving import child_processes
from slipway.serving.configuration import Configuration
from slipway.serving.forking import Forking
from slipway.serving.lame_duck import serve_on
from slipway.serving.mailbox import Mailbox
from slipway.serving.preload import Preloaded, preload
from slipway.serving.roster import WorkerState
from slipway.serving.service import Service
from slipway.serving.settings import ServerSettings
from slipway.serving.stop import POLL_SECONDS, Shutdown, close_listeners
from slipway.serving.worker_table import WorkerTable

BOOT_FAILURES = {3: "Worker failed to boot.", 4: "App failed to load."}


class Arbiter(gunicorn.arbiter.Arbiter):
    """Overrides the steps of gunicorn's loop: each delegates to the service, and contains errors."""

    settings: ServerSettings  # set on the class by gunicorn.conf.py

    def __init__(self, app: Any) -> None:
        self.service = Service(self, len(app.cfg.address))
        self.table = WorkerTable(app.cfg.worker_tmp_dir)
        self.forking = Forking(self, self.table)
        self._stopping = False
        self.preloaded = Preloaded()
        super().__init__(app)
        self.configuration = Configuration(self)

    def adopt(self, settings: ServerSettings) -> None:
        """Use these settings from now on; workers read them from their class."""
        type(self).settings = self.worker_class.settings = settings

    def load_libraries(self) -> None:
        """Load the libraries that the workers share. With --preload gunicorn loads the app itself."""
        if not self.cfg.preload_app:
            self.preloaded = preload(self.settings.preload, self.app.app_uri.partition(":")[0], self.settings.timeout)

    # The service's `Host`

    def fork(self, predecessor: WorkerState | None) -> WorkerState:
        """Start a successor of a worker, or, without a predecessor, a worker for the slot with the fewest."""
        state = self.forking.fork(predecessor, super().spawn_worker)
        self.service.metrics.started(state)
        return state

    def ready_path(self) -> str | None:
        """Return the path at which workers ask their app; None for gunicorn's own classes, which listen at once."""
        return self.settings.guard.takeover_path if hasattr(self.worker_class, "takes_handover") else None

    def patience(self) -> float:
        """Return the seconds within which a worker must be ready."""
        return float(self.settings.timeout)

    def bind(self, path: str) -> Any:
        """Return a new listener for a path whose socket file is gone."""
        return gunicorn.sock.UnixSocket(path, self.cfg, self.log)

    def owns_files(self) -> bool:
        """Whether no other process has the same listeners."""
        return bool(self.reexec_pid == self.master_pid == 0) and not self.systemd

    def mailboxes(self) -> Iterator[Mailbox]:
        """Yield the mailboxes of all workers."""
        return (state.handover.mailbox for state in self.service.roster)

    # gunicorn's loop

    def manage_workers(self) -> None:
        """Run the service's steps; called after every signal and at least once a second."""
        for state in self.service.roster:
            if state.pid not in self.WORKERS:  # gunicorn has found no such process
                self.service.worker_ended(state.pid, None)
        self.service.step()

    def murder_workers(self) -> None:
        """End workers that hang; called before `manage_workers`."""
        self.service.end_hanging()

    def wait_for_signals(self, timeout: float = 1.0) -> list[int]:
        """Wait for signals, for at most POLL_SECONDS while work is under way."""
        busy = self.service.is_busy
        signals: list[int] = super().wait_for_signals(min(timeout, POLL_SECONDS) if busy else timeout)
        return signals

    def reap_workers(self) -> None:
        """Take note of ended children; raise HaltServer if a worker fails to boot before any has been ready."""
        codes: list[int] = []
        for pid, wait_status in child_processes.ended():
            if pid == self.reexec_pid:
                self.reexec_pid: int = 0
            elif pid == self.dirty_arbiter_pid:
                self.handle_dirty_arbiter_exit(pid, wait_status)
            elif pid in self.WORKERS:
                self.service.steps.run("a worker's end", self._forget, pid, wait_status)
                codes.append(child_processes.exit_code(wait_status))
        failure = next((code for code in codes if code in BOOT_FAILURES), None)
        if failure is not None and not self.service.has_been_ready and not self._stopping:
            raise HaltServer(BOOT_FAILURES[failure], failure)

    def _forget(self, pid: int, wait_status: int) -> None:
        worker = self.WORKERS.pop(pid)
        worker.tmp.close()
        self.service.worker_ended(pid, wait_status)
        self.cfg.child_exit(self, worker)

    def reload(self) -> None:
        """Begin a reload, on SIGHUP; see reload.py."""
        self.service.reloads.begin()

    def stop(self, graceful: bool = True) -> None:
        """End all workers within the graceful time-out; a part that fails does not stop the other parts."""
        self._stopping = True
        run = self.service.steps.run
        run("ending a reload", self.service.stopping)
        if self.reexec_pid == self.master_pid == 0:  # after SIGUSR2 another arbiter has the same files
            run("taking the status back", self.service.status.stopping)
        run("ending the metrics", self.service.metrics.end)
        run("closing listeners", close_listeners, self.LISTENERS, unlink=self.owns_files())
        self.LISTENERS: list[Any] = []
        shutdown = Shutdown(self, self.service.clock, self.cfg.graceful_timeout)
        run("ending workers", shutdown.end_workers, lambda: len(self.WORKERS), graceful=graceful)
        super().stop(graceful)

    # Signal handlers and other calls of the loop: errors in them are contained

    def spawn_worker(self) -> int:
        """Start a worker by way of the crew, where gunicorn itself asks for one."""
        state = self.service.crew.start(None)
        return state.pid if state is not None else 0

    def handle_chld(self) -> None:
        """SIGCHLD: a child has ended, or a worker wakes the arbiter."""
        self.service.steps.run("SIGCHLD", super().handle_chld)

    handle_cld = handle_chld

    def handle_hup(self) -> None:
        """Reload."""
        self.service.steps.run("SIGHUP", super().handle_hup)

    def handle_term(self) -> None:
        """Stop, after LAME_DUCK_SECONDS in which balancers notice."""
        seconds, service = self.settings.lame_duck, self.service
        alone = self.reexec_pid == 0  # after SIGUSR2 another arbiter serves the same clients
        if seconds and alone and service.has_been_ready and hasattr(self.worker_class, "takes_handover"):
            hurry = service.steps.run("the lame duck's time", serve_on, self, service.clock, seconds)
            if hurry:
                self.stop(graceful=False)
        super().handle_term()

    def handle_usr1(self) -> None:
        """Reopen log files."""
        self.service.steps.run("SIGUSR1", super().handle_usr1)

    def handle_usr2(self) -> None:
        """Start another arbiter beside this one."""
        self.service.steps.run("SIGUSR2", super().handle_usr2)

    def handle_winch(self) -> None:
        """SIGWINCH ends all workers of a daemon; SIGHUP brings them back."""
        if self.cfg.daemon:
            self.num_workers = 0

    def handle_ttou(self) -> None:
        """SIGTTOU: run one worker less; ignored where the class could not serve its slot on loan."""
        borrows = self.service.loans is None or hasattr(self.worker_class, "takes_handover")
        if borrows or self.num_workers > len(self.LISTENERS):
            super().handle_ttou()
        else:
            self.log.warning("SIGTTOU is ignored: %s can't serve another's slot", self.cfg.worker_class_str)

    def manage_dirty_arbiter(self) -> None:
        """Supervise gunicorn's dirty workers."""
        self.service.steps.run("the dirty arbiter", super().manage_dirty_arbiter)

    def maybe_promote_master(self) -> None:
        """After SIGUSR2: become the master once the old arbiter has ended."""
        self.service.steps.run("becoming the master", super().maybe_promote_master)
