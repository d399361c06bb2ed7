"""How a worker ends: it answers what it has and loses nothing that it has accepted.

Stock behaviour that this answers: connections that wait in the listener's queue, or whose request is just on its way,
are cut; an event stream holds the end until SIGKILL, and lifespan.shutdown does not run
(https://github.com/Kludex/uvicorn/issues/451); a handshake that is under way is answered with 500.
"""

import asyncio
import logging
import select
import socket
from collections.abc import Callable
from typing import Any

import uvicorn

log = logging.getLogger("gunicorn.error")

QUICK_SECONDS = 1.0  # what is open gets this long on SIGINT, SIGQUIT or when the arbiter is gone
CANCEL_SECONDS = 1.0  # what a cancelled handler gets for its `finally`
LIFESPAN_SECONDS = 1.0  # lifespan.shutdown gets at least this
QUEUE_SECONDS = 0.5  # to accept what waits in the listeners' queues
POLL_SECONDS = 0.02


class Draining(uvicorn.Server):
    """A server with a shutdown of its own."""

    def __init__(self, config: uvicorn.Config, drain: float, graceful: float, on_drain: Callable[[], None]) -> None:
        super().__init__(config)
        self.quick = False  # whoever is open has to be gone soon
        self._drain = drain  # seconds for idle connections to be closed by the proxy, which must do so sooner
        self._graceful = graceful  # seconds for all of the shutdown but lifespan.shutdown
        self._on_drain = on_drain

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, let what runs end, close what idles, cancel what is late, then run lifespan.shutdown."""
        start = asyncio.get_running_loop().time()
        log.info("Draining", extra={"connections": len(self.server_state.connections)})
        self.lifespan.state["draining"].set()
        self._say_close()
        await self._stop_accepting()
        await self._until(self._nothing_under_way, start, self._drain, 0.0)
        for connection in self._open():
            connection.shutdown()
        await self._until(self._all_done, start, self._graceful, QUICK_SECONDS)
        await self._cancel()
        await self._end_lifespan(start)

    def _say_close(self) -> None:
        """From now on every response says `connection: close`, so the proxy sends nothing more on its connection.

        A response that has begun can't say so any more; its connection is drained like one that idles.
        """
        state = self.server_state
        state.default_headers = [*state.default_headers, (b"connection", b"close")]
        for connection in self._open():
            cycle = getattr(connection, "cycle", None)
            if cycle is not None and not cycle.response_started:
                cycle.keep_alive = False

    async def _stop_accepting(self) -> None:
        """Close the listeners when their queues are empty: who waits there has been told that he is connected."""
        self._on_drain()
        listeners = [listener for server in self.servers for listener in server.sockets]
        queues = select.poll()
        for listener in listeners:
            queues.register(listener.fileno(), select.POLLIN)
        loop = asyncio.get_running_loop()
        end = loop.time() + QUEUE_SECONDS
        while queues.poll(0) and loop.time() < end:  # noqa: ASYNC110 (a queue tells nobody that it is empty)
            await asyncio.sleep(0)  # one turn of the loop accepts one connection
        for server in self.servers:
            server.close()
        await asyncio.sleep(POLL_SECONDS)  # until the last one is known to us

    def _nothing_under_way(self) -> bool:
        """Whether no HTTP connection and no handshake is left; websockets are closed, with 1012, as they are found."""
        left = False
        for connection in self._open():
            if getattr(connection, "handshake_complete", False):
                connection.shutdown()
            else:
                left = True
        return not left

    def _open(self) -> list[Any]:
        """All connections that are not being closed; the second shutdown of a websocket would raise."""
        return [each for each in self.server_state.connections if not each.transport.is_closing()]

    def _all_done(self) -> bool:
        return not self.server_state.connections and not self.server_state.tasks

    async def _until(self, done: Callable[[], bool], start: float, seconds: float, quick_seconds: float) -> None:
        loop = asyncio.get_running_loop()
        while not done():
            if loop.time() > start + (min(seconds, quick_seconds) if self.quick else seconds):
                return
            await asyncio.sleep(POLL_SECONDS)

    async def _cancel(self) -> None:
        tasks = list(self.server_state.tasks)
        if not tasks:
            return
        log.error("Cancelling what is still open after %g s", self._graceful, extra={"tasks": len(tasks)})
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=CANCEL_SECONDS)

    async def _end_lifespan(self, start: float) -> None:
        left = 0.0 if self.quick else start + self._graceful - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(max(LIFESPAN_SECONDS, left)):
                await self.lifespan.shutdown()
        except TimeoutError:
            log.error("lifespan.shutdown does not end; left alone")
