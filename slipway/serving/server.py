"""uvicorn's server, changed in its start, its signals and its main loop; slipway/serving/drain.py has the shutdown."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn
from uvicorn.lifespan.on import LifespanOn

from slipway.serving.drain import DrainingServer
from slipway.serving.faults import Faults
from slipway.serving.http import Http, OneRequest

TICK_SECONDS = 0.1


class WorkerLifespan(LifespanOn):
    """Gives the app `state["draining"]`, an asyncio.Event that is set when the worker begins to drain.

    uvicorn's "auto" serves an app whose startup raises, and its "on" refuses one that has no lifespan (Django). An app
    that receives the first event has one, so from then on a failure counts.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.state["draining"] = asyncio.Event()

    async def receive(self) -> Any:
        self.config.lifespan = "on"
        return await super().receive()


class Server(DrainingServer):
    """Serves until told to stop, then drains."""

    lifespan: WorkerLifespan

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        drain: float,
        graceful: float,
        tick: Callable[[], Awaitable[None]],
        on_ready: Callable[[], None],
        on_drain: Callable[[], None],
    ) -> None:
        super().__init__(config, drain, graceful, on_drain)
        self._tick = tick
        self._on_ready = on_ready
        self._ticks = Faults()
        self._woken = asyncio.Event()
        self.can_rest = False
        """Whether the worker is idle, so that the server ticks only when it is woken."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals, and do not raise them again at the end as uvicorn does.

        A SIGTERM raised again would kill the worker before gunicorn's worker_exit hook and the exit handlers have run;
        for the same reason the signal handlers stay in place after the loop is closed.
        """
        self._loop = asyncio.get_running_loop()
        signal.signal(signal.SIGTERM, lambda number, frame: self.stop())
        for number in (signal.SIGINT, signal.SIGQUIT):
            # https://github.com/Kludex/uvicorn-worker/issues/2: the stock worker ignores SIGQUIT
            signal.signal(number, lambda number, frame: self.stop(quick=True))
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Run lifespan.startup, then the rest of the startup; if the rest fails, still run lifespan.shutdown."""
        try:
            await super().startup(sockets)
        except Exception:
            await self.end_lifespan()
            raise
        self._on_ready()

    def stop(self, quick: bool = False) -> None:
        """Begin to drain; with `quick`, end within about 2.5 seconds."""
        self.quick = self.quick or quick
        self.should_exit = True
        with suppress(RuntimeError):  # the loop is closed: a second signal, while the exit handlers run
            self._loop.call_soon_threadsafe(self._woken.set)  # signal handlers call this, too

    def wake(self) -> None:
        """Take the next tick now."""
        self._woken.set()

    async def main_loop(self) -> None:
        """Tick until told to stop. An app that cancels all tasks of the loop can't skip the drain."""
        second = 0
        try:
            while not self.should_exit:
                self._woken.clear()
                second, before = int(time.time()), second
                if await self.on_tick(int(second == before)):  # at 0 uvicorn renews the Date header
                    return
                with suppress(TimeoutError):
                    async with asyncio.timeout(None if self.can_rest else TICK_SECONDS):
                        await self._woken.wait()
        except asyncio.CancelledError:
            self.unclean.append("the server's task was cancelled")

    async def on_tick(self, counter: int) -> bool:
        """Take one tick: ten times a second, or when the server is woken.

        A tick may fail for lack of descriptors or memory; the worker still serves its open connections, and can drain.
        """
        with self._ticks("A look around"):
            await self._tick()
        return await super().on_tick(counter)

    async def listen(self, listener: socket.socket, kind: type[Http] = OneRequest) -> asyncio.Server:
        """Serve one more listener; the default kind of connection is for another worker's listener."""
        loop = asyncio.get_running_loop()
        config = self.config

        def protocol() -> asyncio.Protocol:
            if self.can_rest:
                self.wake()
            return kind(config, self.server_state, self.lifespan.state)

        return await loop.create_server(protocol, sock=duplicate(listener), ssl=config.ssl, backlog=config.backlog)

    def stop_listening(self) -> None:
        """Accept no more clients; those in the queues stay there, since the arbiter holds the listeners."""
        for server in self.servers:
            server.close()
        self.servers.clear()


def duplicate(listener: socket.socket) -> socket.socket:
    """Return the listener on another descriptor, so that the loop can close that without closing gunicorn's."""
    return socket.socket(fileno=os.dup(listener.fileno()))
