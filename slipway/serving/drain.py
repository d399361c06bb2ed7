"""How a worker ends: it answers the requests that it has accepted, within bounded time.

Stock behaviour that this replaces: connections in the listener's queue, or with a request still on its way, are cut;
an event stream delays the end until SIGKILL, and lifespan.shutdown does not run
(https://github.com/Kludex/uvicorn/issues/451); a handshake under way is answered with 500; one connection whose
shutdown raises ends the drain, and with it all other open connections.

slipway/serving/endings.py says how each kind of connection ends.
"""

import asyncio
import logging
import select
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import uvicorn

from slipway.serving import endings
from slipway.serving.faults import Faults

log = logging.getLogger("gunicorn.error")

QUICK_SECONDS = 1.0  # for open connections on SIGINT, SIGQUIT or when the arbiter is gone
QUICK_IDLE_SECONDS = 0.5  # for idle connections then: a request may be on its way
RELEASE_SECONDS = 0.3  # before handlers are cancelled: for those that waited for their client, to end by themselves
CANCEL_SECONDS = 0.5  # for the `finally` of cancelled handlers
LIFESPAN_SECONDS = 1.0  # at least, for lifespan.shutdown
QUICK_END_SECONDS = QUICK_SECONDS + CANCEL_SECONDS + LIFESPAN_SECONDS  # the longest quick drain
QUEUE_SECONDS = 0.5  # to accept the clients in the listeners' queues
POLL_SECONDS = 0.02


class DrainingServer(uvicorn.Server):
    """A server with a shutdown of its own."""

    def __init__(self, config: uvicorn.Config, drain: float, graceful: float, on_drain: Callable[[], None]) -> None:
        super().__init__(config)
        self.quick = False  # whether open connections get QUICK_SECONDS only
        self.unclean: list[str] = []  # what went wrong in the drain; empty after a clean one
        self._drain = drain  # seconds until idle connections are closed; the proxy must close them sooner
        self._graceful = graceful  # seconds for the shutdown, lifespan.shutdown not included
        self._on_drain = on_drain
        self._faults = Faults()
        self._began = 0.0  # the loop's time at the start of the drain

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, await running requests, close idle connections, cancel late handlers, run lifespan.shutdown.

        Each step is bounded in time, and a step that fails does not stop the next one.
        """
        self._began = asyncio.get_running_loop().time()
        log.info("Draining", extra={"connections": len(self.server_state.connections)})
        logging.getLogger("uvicorn.error").addFilter(endings.is_no_cancellation)
        steps: list[Callable[[], Awaitable[None]]] = [
            self._announce,
            self._stop_accepting,
            self._let_end,
            self._release,
            self._cancel,
            self.end_lifespan,
        ]
        for step in steps:
            await self._take(step.__name__.strip("_").replace("_", " "), step)
        self.unclean += [f"{count} x {kind}" for kind, count in self._faults.counts.items()]

    async def _take(self, name: str, step: Callable[[], Awaitable[None]]) -> None:
        try:
            with self._faults(f"Drain, {name}"):
                await step()
        except asyncio.CancelledError:  # by an app that cancels all tasks of the loop at its end
            self.unclean.append(f"Drain, {name}: cancelled")

    async def _announce(self) -> None:
        """Tell the app, and say `connection: close` in every response, so that the proxy sends nothing more.

        A response that has already started can't carry it; its connection is then drained like an idle one.
        """
        state = self.server_state
        state.default_headers = [*state.default_headers, (b"connection", b"close")]
        self._each(endings.say_close)
        self.lifespan.state["draining"].set()

    async def _stop_accepting(self) -> None:
        """Close the listeners when their queues are empty: clients in the backlog have completed their connect."""
        with self._faults("Closing the inherited listeners"):
            self._on_drain()
        with self._faults("Emptying the listeners' queues"):
            await self._empty_queues()
        for server in self.servers:
            with self._faults("Closing a listener"):
                server.close()
        await asyncio.sleep(POLL_SECONDS)  # until the last accepted connection is registered

    async def _empty_queues(self) -> None:
        queues = select.poll()
        for server in self.servers:
            for listener in server.sockets:
                queues.register(listener.fileno(), select.POLLIN)
        loop = asyncio.get_running_loop()
        end = loop.time() + QUEUE_SECONDS
        while queues.poll(0) and loop.time() < end:  # noqa: ASYNC110 (a queue has no event for being empty)
            await asyncio.sleep(0)  # one turn of the loop accepts one connection

    async def _let_end(self) -> None:
        """Wait for running requests and handshakes; close websockets at once, idle connections after DRAIN_SECONDS."""
        await self._until(self._all_closed, self._graceful - RELEASE_SECONDS, QUICK_SECONDS - RELEASE_SECONDS)

    def _all_closed(self) -> bool:
        idle_seconds = min(self._drain, QUICK_IDLE_SECONDS) if self.quick else self._drain
        idle_stays = asyncio.get_running_loop().time() < self._began + idle_seconds
        self._each(partial(endings.close_if_over, idle_stays=idle_stays))
        return self._all_done()

    async def _release(self) -> None:
        """End the connections whose handlers wait for the client, so that those handlers end by themselves."""
        self._each(endings.release)
        await self._until(self._all_done, self._graceful, QUICK_SECONDS)

    async def _cancel(self) -> None:
        """Cancel the remaining handlers, then cut the remaining connections."""
        tasks = self._running()
        if tasks:
            seconds = asyncio.get_running_loop().time() - self._began
            self.unclean.append(f"handlers cancelled after {seconds:.1f} s: {len(tasks)}")
            log.error("Cancelling what is still open after %.1f s", seconds, extra={"tasks": len(tasks)})
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=CANCEL_SECONDS)
            await asyncio.sleep(POLL_SECONDS)  # until their last output is written
        if left := sum(not connection.transport.is_closing() for connection in self.server_state.connections):
            self.unclean.append(f"connections cut: {left}")  # each of them has had time to close
        self._each(endings.cut)
        await asyncio.sleep(0)  # for connection_lost to be called

    async def end_lifespan(self) -> None:
        """Run lifespan.shutdown, in bounded time."""
        lifespan = self.lifespan
        left = 0.0 if self.quick else self._began + self._graceful - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(max(LIFESPAN_SECONDS, left)):
                await lifespan.shutdown()
        except TimeoutError:
            log.error("lifespan.shutdown does not end; left alone")
            self.unclean.append("lifespan.shutdown did not end")
        if lifespan.shutdown_failed or (lifespan.error_occurred and self.config.lifespan == "on"):
            self.unclean.append("lifespan.shutdown failed")

    def _each(self, step: Callable[[Any], None]) -> None:
        """Call `step` with each connection; cut one for which it raises, and go on with the others."""
        for connection in list(self.server_state.connections):
            try:
                step(connection)
            except Exception as error:
                self._faults.failed("The end of a connection", error)
                with self._faults("Cutting a connection"):
                    endings.cut(connection)

    def _all_done(self) -> bool:
        return not self.server_state.connections and not self._running()

    def _running(self) -> list[asyncio.Task[None]]:
        """Return the running handlers; a task that was cancelled before it began is still in the set, but done."""
        return [task for task in self.server_state.tasks if not task.done()]

    async def _until(self, done: Callable[[], bool], seconds: float, quick_seconds: float) -> None:
        loop = asyncio.get_running_loop()
        while not done():
            if loop.time() > self._began + (min(seconds, quick_seconds) if self.quick else seconds):
                return
            await asyncio.sleep(POLL_SECONDS)
