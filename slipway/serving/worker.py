"""gunicorn's worker that runs our server. Takes the place of uvicorn.workers.UvicornWorker."""

import asyncio
import logging
import os
import resource
import signal
import socket
import threading
from pathlib import Path
from typing import IO, Any

from uvicorn.workers import UvicornWorker

from slipway.logs import stacks, writer
from slipway.middleware.counts import Counts
from slipway.serving.config import Settings
from slipway.serving.guard import put_guard
from slipway.serving.http import Http
from slipway.serving.server import Lifespan, Server, duplicate
from slipway.serving.slots import Loans
from slipway.serving.table import Row

BEAT_SECONDS = 0.5
LOG_SECONDS = 0.2  # to write the log if the worker has to leave by force
ORPHAN_SECONDS = 2.0  # a worker whose arbiter is gone has so long, since nobody would kill it
STATM = Path("/proc/self/statm")


class Worker(UvicornWorker):
    """One process: serves its slot and what is lent to it, beats its heart, and drains when told."""

    settings: Settings  # set on the class by gunicorn.conf.py
    CONFIG_KWARGS: dict[str, Any] = {  # noqa: RUF012 (the base class has it so)
        "loop": "uvloop",
        "http": Http,
        "ws": "websockets-sansio",
        "server_header": False,
        # Bytes; the default of 16 MiB times all connections is more than the machine has. The app's own limit (64 KiB)
        # is well below: what breaks this one is cut off with data unread, and the client sees 1006 instead of 1009.
        "ws_max_size": 1024 * 1024,
        "ws_per_message_deflate": False,  # 62 KiB of memory per idle websocket with it, 21 without
        "ws_ping_interval": 20.0,  # seconds; with the time-out, a client that vanished is gone within 40
        "ws_ping_timeout": 20.0,
    }

    # Set by the arbiter before the fork.
    loans: Loans | None = None
    listeners: list[socket.socket]
    note: IO[bytes]
    slot: int | None
    row: Row
    stacks: IO[bytes] | None = None
    is_ready = False
    counts: Counts  # of what it has open, from its start on

    def init_signals(self) -> None:
        super().init_signals()
        # A worker whose loop is blocked is ended with SIGABRT; this writes where it stands first.
        stacks.enable(self.stacks)

    def run(self) -> None:
        failure = FirstError()
        loggers = [logging.getLogger(name) for name in ("uvicorn.error", "gunicorn.error")]
        for logger in loggers:
            logger.addHandler(failure)
        try:
            super().run()
        finally:
            if not self.is_ready:
                self.note.write(failure.text.encode())

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        self.config.callback_notify = None  # stock: by the wall clock, a step back of which kills every worker
        self.config.limit_max_requests = None  # stock: stops to accept before there is a successor
        self.counts = put_guard(self.config, self.settings.guard, self.slot)
        self.config.lifespan_class = Lifespan
        settings = self.settings
        self.server = Server(
            self.config,
            drain=settings.drain,
            graceful=settings.graceful_shutdown,
            tick=self._look_around,
            on_ready=self._ready,
            on_drain=self._close_listeners,
        )
        self._lent: dict[int, asyncio.Server] = {}
        self._asked = False
        beating = asyncio.create_task(self._beat())
        try:
            await self.server.serve(sockets=[duplicate(listener) for listener in self.sockets])
        finally:
            beating.cancel()

    def _ready(self) -> None:
        """The first heartbeat, by which the arbiter knows."""
        self.row.write(self.pid, self.slot, self.counts)
        self.is_ready = True
        self.notify()

    async def _beat(self) -> None:
        """Tell the arbiter that the loop turns, from the end of startup to that of the drain; see that it lives."""
        while os.getppid() == self.ppid:
            if self.is_ready:
                self.notify()
                self.counts.find_streams()
                self.row.write(self.pid, self.slot, self.counts)
            await asyncio.sleep(BEAT_SECONDS)
        self.log.error("The arbiter is gone; stopping")
        self.server.stop(quick=True)
        end = threading.Timer(ORPHAN_SECONDS, _exit)
        end.daemon = True
        end.start()

    async def _look_around(self) -> None:
        """Ten times a second: is it time to be replaced, is a slot lent to us?"""
        if not self._asked and self._is_spent():
            self._asked = True
            self.note.write(b"replace me")  # and serve on, until the arbiter says that another has taken the place
            os.kill(self.ppid, signal.SIGCHLD)  # wakes it
        if self.loans is not None:
            await self._serve_lent(set(self.loans.of(os.getpid())))

    def _close_listeners(self) -> None:
        """What came with the fork; while any worker has it, a client of an arbiter that is gone would wait in vain."""
        for listener in self.listeners:
            listener.close()

    def _is_spent(self) -> bool:
        most = self.settings.max_worker_memory
        return self.server.server_state.total_requests >= self.max_requests or bool(most and _resident_bytes() > most)

    async def _serve_lent(self, wanted: set[int]) -> None:
        for slot in self._lent.keys() - wanted:
            server = self._lent.pop(slot)
            self.server.servers.remove(server)
            server.close()
        for slot in wanted - self._lent.keys():
            self._lent[slot] = await self.server.listen(self.listeners[slot])
            self.server.servers.append(self._lent[slot])


class FirstError(logging.Handler):
    """Keeps the first error of a startup; the arbiter passes it on to whoever asked for a reload."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info and record.exc_info[1]
        self.text = self.text or (f"{type(error).__name__}: {error}" if error else record.getMessage())


def _exit() -> None:
    """Leave, whatever hangs; the log is written first."""
    writer.flush(LOG_SECONDS)
    os._exit(1)


def _resident_bytes() -> int:
    return int(STATM.read_text().split()[1]) * resource.getpagesize()
