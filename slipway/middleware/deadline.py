"""The time that a request may take: its handler is cancelled, and its client is answered 504."""

import asyncio
from itertools import takewhile
from time import perf_counter

from slipway.middleware.counts import REQUEST
from slipway.middleware.exchange import Exchange


class Deadline:
    """Knows the task of each running request, in the order in which they came.

    The worker's heartbeat looks for late ones, so a request pays for no timer of its own. Streams and websockets may
    take any time.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.running: dict[Exchange, asyncio.Task[object] | None] = {}
        self.late: set[Exchange] = set()  # cancelled, and still ending

    def watch(self, exchange: Exchange) -> None:
        """Called in its own task. An idle websocket keeps nothing here."""
        if exchange.kind == REQUEST:
            self.running[exchange] = asyncio.current_task()

    def forget(self, exchange: Exchange) -> None:
        """Its handler has ended."""
        self.running.pop(exchange, None)
        self.late.discard(exchange)

    def cancel_late(self) -> None:
        """Cancel each handler whose time is over, once: what it does in its `finally` is left alone."""
        old = perf_counter() - self.seconds
        for exchange, task in list(takewhile(lambda item: item[0].started < old, self.running.items())):
            del self.running[exchange]
            if exchange.kind == REQUEST and task is not None:
                self.late.add(exchange)
                task.cancel()
