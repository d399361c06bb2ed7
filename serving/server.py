"""uvicorn's server, changed in how it starts and how it ends. The order below is that of a worker's life."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.lifespan.on import LifespanOn

log = logging.getLogger("gunicorn.error")

QUICK_SECONDS = 1.0  # what is open gets this long on SIGINT, SIGQUIT or when the arbiter is gone
CANCEL_SECONDS = 1.0  # what a cancelled handler gets for its `finally`
POLL_SECONDS = 0.02


class Lifespan(LifespanOn):
    """Gives the app `state["draining"]`, an asyncio.Event that is set when the worker begins to drain.

    uvicorn's "auto" serves an app whose startup raises, and its "on" refuses one that has no lifespan (Django). Whoever
    asks for the first event has one, so from then on a failure counts.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.state["draining"] = asyncio.Event()

    async def receive(self) -> Any:
        self.config.lifespan = "on"
        return await super().receive()


class Server(uvicorn.Server):
    """Serves until told to stop, then drains: answers what it has, loses nothing that it has accepted."""

    lifespan: Lifespan

    def __init__(
        self, config: uvicorn.Config, *, drain: float, graceful: float, tick: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__(config)
        self._drain = drain  # seconds for idle connections to be closed by the proxy, which must do so sooner
        self._graceful = graceful  # seconds for all of the shutdown but lifespan.shutdown
        self._tick = tick
        self._quick = False
        self.ready = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals, and do not raise them again at the end as uvicorn does.

        The worker would die of its own SIGTERM before gunicorn's worker_exit hook and the exit handlers have run; for
        the same reason the handlers stay when the loop is closed.
        """
        signal.signal(signal.SIGTERM, lambda number, frame: self.stop())
        for number in (signal.SIGINT, signal.SIGQUIT):
            # https://github.com/Kludex/uvicorn-worker/issues/2: the stock worker takes no notice of SIGQUIT
            signal.signal(number, lambda number, frame: self.stop(quick=True))
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Run lifespan.startup, then listen."""
        await super().startup(sockets)
        self.ready.set()

    def stop(self, quick: bool = False) -> None:
        """Begin to drain, or to leave within about two seconds."""
        self._quick = self._quick or quick
        self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        await self._tick()
        return await super().on_tick(counter)

    async def listen(self, listener: socket.socket) -> asyncio.Server:
        """Serve one more listener."""
        loop = asyncio.get_running_loop()
        config = self.config

        def protocol() -> asyncio.Protocol:
            factory: Any = config.http_protocol_class
            made: asyncio.Protocol = factory(
                config=config, server_state=self.server_state, app_state=self.lifespan.state
            )
            return made

        return await loop.create_server(protocol, sock=duplicate(listener), ssl=config.ssl, backlog=config.backlog)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, let what runs end, close what idles, cancel what is late, then run lifespan.shutdown."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        log.info("Draining", extra={"connections": len(self.server_state.connections)})
        self.lifespan.state["draining"].set()
        for server in self.servers:
            server.close()
        self._say_close()
        await self._until(lambda: not self._http_connections(), start + (0 if self._quick else self._drain))
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await self._until(self._all_done, start + (QUICK_SECONDS if self._quick else self._graceful), start)
        await self._cancel()
        await self.lifespan.shutdown()

    def _say_close(self) -> None:
        """From now on every response says `connection: close`, so the proxy sends nothing more on its connection."""
        state = self.server_state
        state.default_headers = [*state.default_headers, (b"connection", b"close")]
        for connection in list(state.connections):
            cycle = getattr(connection, "cycle", None)
            if cycle is not None and not cycle.response_complete:
                cycle.keep_alive = False
            elif not hasattr(connection, "cycle"):
                connection.shutdown()  # a websocket: 1012

    def _http_connections(self) -> bool:
        return any(hasattr(connection, "cycle") for connection in self.server_state.connections)

    def _all_done(self) -> bool:
        return not self.server_state.connections and not self.server_state.tasks

    async def _until(self, done: Callable[[], bool], deadline: float, start: float = 0.0) -> None:
        loop = asyncio.get_running_loop()
        while not done() and loop.time() < deadline:
            if self._quick and start:
                deadline = min(deadline, start + QUICK_SECONDS)
            await asyncio.sleep(POLL_SECONDS)

    async def _cancel(self) -> None:
        tasks = list(self.server_state.tasks)
        if not tasks:
            return
        log.error("Cancelling what is still open after %g s", self._graceful, extra={"tasks": len(tasks)})
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=CANCEL_SECONDS)


def duplicate(listener: socket.socket) -> socket.socket:
    """The same listener on a descriptor of its own, so that the loop may close it without a word to gunicorn's."""
    return socket.socket(fileno=os.dup(listener.fileno()))
