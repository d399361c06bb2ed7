"""gunicorn's worker that runs our server. Takes the place of uvicorn.workers.UvicornWorker."""

import asyncio
import faulthandler
import os
import resource
import socket
from pathlib import Path
from typing import Any

from uvicorn.workers import UvicornWorker

from serving.config import Settings
from serving.server import Lifespan, Server, duplicate
from serving.slots import Loans

BEAT_SECONDS = 1.0
STATM = Path("/proc/self/statm")


class Worker(UvicornWorker):
    """One process: serves its slot and what is lent to it, beats its heart, and drains when told."""

    settings: Settings  # set on the class by gunicorn.conf.py
    CONFIG_KWARGS: dict[str, Any] = {  # noqa: RUF012 (the base class has it so)
        "loop": "uvloop",
        "http": "httptools",
        "ws": "websockets-sansio",
        "server_header": False,
        "ws_max_size": 64 * 1024,  # bytes; the default of 16 MiB times all connections is more than the machine has
        "ws_per_message_deflate": False,  # 62 KiB of memory per idle websocket with it, 21 without
        "ws_ping_interval": 20.0,  # seconds; with the time-out, a client that vanished is gone within 40
        "ws_ping_timeout": 20.0,
    }

    # Set by the arbiter before the fork.
    loans: Loans | None = None
    listeners: list[socket.socket]

    def init_process(self) -> None:
        # A worker whose loop is blocked is ended with SIGABRT; this writes where it stands first.
        faulthandler.enable()
        super().init_process()

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        self.config.callback_notify = None  # stock: by the wall clock, a step back of which kills every worker
        self.config.limit_max_requests = None  # stock: stops to accept before there is a successor
        self.config.load()
        self.config.lifespan_class = Lifespan
        settings = self.settings
        self.server = Server(
            self.config, drain=settings.drain, graceful=settings.graceful_shutdown, tick=self._look_around
        )
        self._lent: dict[int, asyncio.Server] = {}
        beating = asyncio.create_task(self._beat())
        try:
            await self.server.serve(sockets=[duplicate(listener) for listener in self.sockets])
        finally:
            beating.cancel()

    async def _beat(self) -> None:
        """Tell the arbiter that the loop turns.

        The first beat comes at the end of startup, which is how the arbiter knows that we are ready; the last at the
        end of the process, so that draining may take longer than `timeout`.
        """
        await self.server.ready.wait()
        while True:
            self.notify()
            await asyncio.sleep(BEAT_SECONDS)

    async def _look_around(self) -> None:
        """Ten times a second: is the arbiter alive, is it time to be replaced, is a slot lent to us?"""
        if os.getppid() != self.ppid:
            self.log.error("The arbiter is gone; stopping")
            self.server.stop(quick=True)
        if self._is_spent():
            ask_for_successor(self)
        if self.loans is not None:
            await self._serve_lent(set(self.loans.of(os.getpid())))

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


def ask_for_successor(worker: Any) -> None:
    """Called in a worker: serve on, and be retired when another has taken the place.

    The heartbeat file, which the arbiter reads anyway, carries the wish as its size.
    """
    os.pwrite(worker.tmp.fileno(), b"1", 0)
    worker.notify()


def asks_for_successor(worker: Any) -> bool:
    """Called in the arbiter."""
    return os.fstat(worker.tmp.fileno()).st_size > 0


def _resident_bytes() -> int:
    return int(STATM.read_text().split()[1]) * resource.getpagesize()
