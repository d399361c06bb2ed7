"""The gunicorn worker that runs our server; `-k uvicorn.workers.UvicornWorker` (or `uvicorn_worker`) leads to it."""

import asyncio
import gc
import os
import signal
from contextlib import suppress
from typing import Any

from slipway.logs import stacks
from slipway.metrics.board import Board
from slipway.middleware.counts import Counts
from slipway.middleware.lame_duck import LameDuck
from slipway.middleware.spans import Traced, started_spans
from slipway.serving import heartbeat, readiness
from slipway.serving.base import UvicornWorker
from slipway.serving.failure_report import FailureReport
from slipway.serving.faults import Faults
from slipway.serving.guarded_app import load_guarded_app
from slipway.serving.handover import Handover
from slipway.serving.http import Http
from slipway.serving.listening import Listening
from slipway.serving.quiet import Quiet
from slipway.serving.server import Server, WorkerLifespan
from slipway.serving.settings import ServerSettings
from slipway.serving.spent import is_spent
from slipway.serving.websocket import WebSocketProtocol


class Worker(UvicornWorker):
    """One process: serves its slot and slots on loan, sends heartbeats, and drains when told."""

    settings: ServerSettings  # set on the class by gunicorn.conf.py
    CONFIG_KWARGS: dict[str, Any] = {  # noqa: RUF012 (the base class has it so)
        "loop": "uvloop",
        "http": Http,
        "ws": WebSocketProtocol,
        "server_header": False,
        # Bytes; the default of 16 MiB for each of all connections is more than the machine has.
        "ws_max_size": 1024 * 1024,
        "ws_per_message_deflate": False,  # 62 KiB of memory per idle websocket with it, 21 without
        "ws_ping_interval": 20.0,  # seconds; with the time-out, a vanished client is closed within 40
        "ws_ping_timeout": 20.0,
    }

    takes_handover = True  # a mark for the arbiter, which knows the class by its path only
    handover: Handover  # set by the arbiter before the fork
    counts: Counts  # of its requests, streams and websockets, since its start

    def init_signals(self) -> None:
        super().init_signals()
        # A worker whose loop is blocked is ended with SIGABRT; this writes its stacks first.
        stacks.enable(self.handover.stacks)
        self._failure = FailureReport(self.handover.report, self.settings.timeout)

    def run(self) -> None:
        with self._failure.reporting():
            super().run()

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        board = Board(self.handover.board)
        guard = load_guarded_app(self.config, self.settings.guard, self.handover.slot, board)
        spans = started_spans(self.handover.slot)
        if spans is not None:
            guard.app = Traced(guard.app, spans)
        self.counts, self._app, self._guard, self._deadline = guard.counts, guard.app, guard, guard.deadline
        self.config.lifespan_class = WorkerLifespan
        settings = self.settings
        self.server = Server(
            self.config,
            drain=settings.drain,
            graceful=settings.graceful_shutdown,
            tick=self._look_around,
            on_ready=self._ready,
            on_drain=lambda: self._listening.close(),
        )
        self._faults = Faults()
        self._listening = Listening(self.server, self.handover, self.tmp.fileno(), self._faults)
        self._answers = readiness.Answers(self.handover.mailbox, self._ask_app, self._wake_arbiter)
        self._quiet = Quiet(self.handover.mailbox, self.server.server_state, self.server.wake)
        beating = asyncio.create_task(self._live())
        try:
            await self.server.serve(sockets=[])  # it listens once it is admitted
            if self.server.unclean:
                self._failure.leave("; ".join(self.server.unclean))
        finally:
            beating.cancel()
            if spans is not None:
                spans.flush()
            self.counts.note()
            gc.freeze()  # or the interpreter would visit all objects at its end: 170 ms of CPU instead of 14

    def _ready(self) -> None:
        """Send the first heartbeat, which tells the arbiter that the worker is ready."""
        self._failure.stop_watching()
        self._write_row()
        self.counts.note()
        self._failure.is_ready = True
        self.notify()
        self._wake_arbiter()

    def _wake_arbiter(self) -> None:
        """Have the arbiter look now; a failure does not matter, since it also looks once a second."""
        with suppress(OSError):
            os.kill(self.ppid, signal.SIGCHLD)

    def _write_row(self) -> None:
        self.handover.row.write(self.pid, self.handover.slot, self.counts)

    async def _live(self) -> None:
        """Send heartbeats from the end of startup to the end of the drain; stop when the arbiter is gone."""
        await heartbeat.beat(self.ppid, self._beat, self.counts.board.lag, self._rests)
        self.log.error("The arbiter is gone; stopping")
        self.server.stop(quick=True)
        heartbeat.leave_in_time()

    def _beat(self) -> None:
        """Send a heartbeat, and do the periodic work."""
        with self._faults("The heartbeat"):
            if self._failure.is_ready:
                self.notify()
                self.counts.find_streams()
                self._deadline.cancel_late()
                self._write_row()
                self.counts.note()
        self.server.wake()

    def _rests(self) -> bool:
        """Whether the worker is idle: no new connections or responses, and no open requests, streams or websockets."""
        return self.server.can_rest and not self.counts.active

    async def _look_around(self) -> None:
        """Look at the arbiter's mailbox and at free descriptors: ten times a second, at rest with each heartbeat."""
        self.server.can_rest = False
        with self._faults("Asking the app whether it is ready"):
            self._answers.look()
        if self.handover.mailbox.is_lame_duck and self._guard.app is self._app:
            health = self.settings.guard
            self._guard.app = LameDuck(self._app, health.ready_path, health.health_paths)
        with self._faults("Looking whether to be replaced"):
            self._ask_to_be_replaced()
        with self._faults("Accepting clients"):
            listens = self.handover.mailbox.listens
            await self._listening.look()
            if self.handover.mailbox.listens and not listens:
                self._wake_arbiter()
            self.server.can_rest = self._quiet.look()

    def _ask_to_be_replaced(self) -> None:
        if not self.handover.mailbox.wants_successor and self._is_spent():
            self.handover.mailbox.want_successor()  # and serve on until the successor has taken the place
            self._wake_arbiter()

    async def _ask_app(self) -> int:
        """Return the status of the app's answer on its ready path."""
        guard = self.settings.guard
        root_path = guard.root_path or self.config.root_path
        return await readiness.ask(self._app, guard.takeover_path, self.server.lifespan.state, root_path)

    def _is_spent(self) -> bool:
        requests = self.server.server_state.total_requests
        return is_spent(requests, self.max_requests, self.settings.max_worker_memory)
