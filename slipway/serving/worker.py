"""gunicorn's worker that runs our server. Takes the place of uvicorn.workers.UvicornWorker."""

import asyncio
import errno
import faulthandler
import gc
import logging
import os
import resource
import signal
import socket
import threading
from pathlib import Path
from typing import IO, Any

from uvicorn.workers import UvicornWorker

from slipway.serving import notes
from slipway.serving.config import Settings
from slipway.serving.faults import Faults, describe
from slipway.serving.http import Http
from slipway.serving.room import Room
from slipway.serving.server import Lifespan, Server, duplicate
from slipway.serving.slots import Loans
from slipway.serving.websocket import WebSocket

BEAT_SECONDS = 0.5
ORPHAN_SECONDS = 2.0  # a worker whose arbiter is gone has so long, since nobody would kill it
STATM = Path("/proc/self/statm")


class Worker(UvicornWorker):
    """One process: serves its slot and what is lent to it, beats its heart, and drains when told."""

    settings: Settings  # set on the class by gunicorn.conf.py
    CONFIG_KWARGS: dict[str, Any] = {  # noqa: RUF012 (the base class has it so)
        "loop": "uvloop",
        "http": Http,
        "ws": WebSocket,
        "server_header": False,
        # Bytes; the default of 16 MiB times all connections is more than the machine has.
        "ws_max_size": 1024 * 1024,
        "ws_per_message_deflate": False,  # 62 KiB of memory per idle websocket with it, 21 without
        "ws_ping_interval": 20.0,  # seconds; with the time-out, a client that vanished is gone within 40
        "ws_ping_timeout": 20.0,
    }

    # Set by the arbiter before the fork.
    loans: Loans | None = None
    listeners: list[socket.socket]
    note: IO[bytes]  # read by the arbiter: "replace me", and at the end why it was not a clean one
    is_ready = False

    def init_signals(self) -> None:
        super().init_signals()
        # A worker whose loop is blocked is ended with SIGABRT; this writes where it stands first.
        faulthandler.enable()

    def run(self) -> None:
        failure = notes.FirstError()
        loggers = [logging.getLogger(name) for name in ("uvicorn.error", "gunicorn.error")]
        for logger in loggers:
            logger.addHandler(failure)
        try:
            super().run()
        except Exception as error:
            if self.is_ready:
                self._leave_reason(describe(error))
            raise
        finally:
            if not self.is_ready:
                self.note.write(failure.text.encode())

    def _leave_reason(self, reason: str) -> None:
        """Log in one line why this was no clean end, and leave it to the arbiter, in place of an earlier note."""
        self.log.error("The worker did not end cleanly: %s", reason)
        with self._faults("Writing the note"):
            notes.leave(self.note, reason)

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        self.config.callback_notify = None  # stock: by the wall clock, a step back of which kills every worker
        self.config.limit_max_requests = None  # stock: stops to accept before there is a successor
        self.config.load()
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
        self._faults = Faults()
        self._room = Room()
        self._lent: dict[int, asyncio.Server] = {}
        self._asked = False
        beating = asyncio.create_task(self._beat())
        try:
            await self.server.serve(sockets=[duplicate(listener) for listener in self.sockets])
            if self.server.unclean:
                self._leave_reason("; ".join(self.server.unclean))
        finally:
            beating.cancel()
            gc.freeze()  # or the interpreter walks through all objects at its end: 170 ms of CPU instead of 14

    def _ready(self) -> None:
        """The first heartbeat, by which the arbiter knows."""
        self.is_ready = True
        self.notify()

    async def _beat(self) -> None:
        """Tell the arbiter that the loop turns, from the end of startup to that of the drain; see that it lives."""
        while os.getppid() == self.ppid:
            with self._faults("The heartbeat"):
                if self.is_ready:
                    self.notify()
            await asyncio.sleep(BEAT_SECONDS)
        self.log.error("The arbiter is gone; stopping")
        self.server.stop(quick=True)
        end = threading.Timer(ORPHAN_SECONDS, os._exit, [1])
        end.daemon = True
        end.start()

    async def _look_around(self) -> None:
        """Ten times a second: is it time to be replaced, is there room for clients, is a slot lent to us?"""
        if not self._asked:
            with self._faults("Looking whether to be replaced"):
                self._ask_if_spent()
        with self._faults("Accepting clients"):
            await self._accept_while_there_is_room()

    def _ask_if_spent(self) -> None:
        if self._is_spent():
            self.note.write(notes.REPLACE_ME)  # and serve on, until the arbiter says that another has taken the place
            self._asked = True
            os.kill(self.ppid, signal.SIGCHLD)  # wakes it

    async def _accept_while_there_is_room(self) -> None:
        was_short = self._room.is_short
        if self._room.look(self.tmp.fileno(), len(self.server.server_state.connections)):
            self.server.stop_listening()  # clients wait in the queue
            self._lent.clear()
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        if was_short:
            await self.server.listen_again(self.sockets)
        if self.loans is not None:
            await self._serve_lent(set(self.loans.of(os.getpid())))

    def _close_listeners(self) -> None:
        """What came with the fork; while any worker has it, a client of an arbiter that is gone would wait in vain."""
        for listener in self.listeners:
            with self._faults("Closing a listener"):
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
            with self._faults("Serving a slot on loan"):  # tried again at the next look
                self._lent[slot] = await self.server.listen(self.listeners[slot])
                self.server.servers.append(self._lent[slot])


def _resident_bytes() -> int:
    return int(STATM.read_text().split()[1]) * resource.getpagesize()
