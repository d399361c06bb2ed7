"""A worker's listeners, on which it accepts while descriptors are free: its own, and those of slots on loan."""

import asyncio
import errno
import os

from slipway.serving.faults import Faults
from slipway.serving.handover import Handover
from slipway.serving.http import Http
from slipway.serving.room import Room
from slipway.serving.server import Server


class Listening:
    """Starts and stops accepting on the arbiter's listeners."""

    def __init__(self, server: Server, handover: Handover, descriptor: int, faults: Faults) -> None:
        self._server = server
        self._handover = handover
        self._descriptor = descriptor  # any open one; duplicating it shows whether another is free
        self._faults = faults
        self._room = Room()
        self._own = 0  # number of our own listeners that are served
        self._lent: dict[int, asyncio.Server] = {}

    async def look(self) -> None:
        """Start or stop accepting, as the arbiter and the free descriptors allow; raise OSError if too few are free."""
        if self._room.look(self._descriptor, len(self._server.server_state.connections)):
            self._server.stop_listening()  # new clients wait in the listener's queue
            self._own = 0
            self._lent.clear()
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        if self._handover.mailbox.admitted:
            await self._serve_own()
        if self._handover.loans is not None:
            await self._serve_lent(set(self._handover.loans.of(os.getpid())))

    def close(self) -> None:
        """Close the inherited listeners: while a worker holds one, a client of a dead arbiter would wait in vain."""
        for listener in self._handover.listeners:
            with self._faults("Closing a listener"):
                listener.close()

    async def _serve_own(self) -> None:
        """Serve our own listeners; one that fails is tried again at the next look."""
        for listener in self._handover.own[self._own :]:
            self._server.servers.append(await self._server.listen(listener, Http))
            self._own += 1
        self._handover.mailbox.tell_listens()

    async def _serve_lent(self, wanted: set[int]) -> None:
        for slot in self._lent.keys() - wanted:
            server = self._lent.pop(slot)
            self._server.servers.remove(server)
            server.close()
        for slot in wanted - self._lent.keys():
            with self._faults("Serving a slot on loan"):  # tried again at the next look
                self._lent[slot] = await self._server.listen(self._handover.listeners[slot])
                self._server.servers.append(self._lent[slot])
