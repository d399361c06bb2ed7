"""Forks workers, and gives each its slot, its row in the table and its channels to the arbiter."""

import os
import signal
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from gunicorn.config import Config

from slipway.logs import stacks
from slipway.metrics import board
from slipway.serving.handover import Handover, Report
from slipway.serving.mailbox import Mailbox
from slipway.serving.roster import WorkerState
from slipway.serving.service import Service
from slipway.serving.slots import emptiest
from slipway.serving.worker_table import WorkerTable

STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}


class ForkingServer(Protocol):
    """The part of gunicorn's arbiter that has workers."""

    cfg: Config
    service: Service
    LISTENERS: list[Any]
    WORKERS: Mapping[int, Any]


class Forking:
    """Forks workers one at a time."""

    def __init__(self, server: ForkingServer, table: WorkerTable) -> None:
        self._table = table
        self._server = server
        self._handover: Handover | None = None  # of the worker being forked
        self._first_beat = 0.0

    def fork(self, predecessor: WorkerState | None, spawn: Callable[[], int]) -> WorkerState:
        """Start a worker with `spawn`, gunicorn's own method."""
        server = self._server
        self._handover = handover = self._new_handover(predecessor)
        # A stop signal that reached the child before it has handlers of its own would be lost in its copy of our
        # queue. So these signals are blocked until the post_fork hook.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            pid = spawn()
        except Exception:
            handover.report.close()
            handover.mailbox.close()
            if handover.board is not None:
                os.close(handover.board)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        worker = server.WORKERS[pid]
        now = server.service.clock.now()
        heartbeat = worker.tmp.last_update
        return WorkerState(pid, worker.age, handover, predecessor, heartbeat, now, self._first_beat)

    def prepare(self, worker: Any) -> None:
        """Give the worker its handover; the pre_fork hook calls this before each fork."""
        worker.handover = self._handover
        self._first_beat = worker.tmp.last_update()
        worker.sockets = [*worker.handover.own]

    def _new_handover(self, predecessor: WorkerState | None) -> Handover:
        server, service = self._server, self._server.service
        slot, own, loans = None, tuple(server.LISTENERS), service.loans
        if loans is not None:
            used = [state.slot for state in service.roster if state.retired_at is None and state.slot is not None]
            slot = predecessor.slot if predecessor is not None else emptiest(len(server.LISTENERS), used)
            own = (server.LISTENERS[slot or 0],)
        mailbox = Mailbox(admitted=predecessor is None)
        row = self._table.new_row(state.handover.row for state in service.roster)
        folder = server.cfg.worker_tmp_dir
        report, opened = Report(folder), stacks.opened(folder)
        return Handover(slot, own, tuple(server.LISTENERS), loans, report, mailbox, row, opened, board.opened())
