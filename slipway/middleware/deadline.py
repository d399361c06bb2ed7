"""The time that a request may take: its handler is cancelled, and its client is answered 504."""

from itertools import takewhile
from time import perf_counter

from slipway.middleware.counts import Open, Running


class Deadline:
    """Looks for late ones among the running requests, which stand in the order in which they came.

    The worker's heartbeat asks for it, so a request pays for no timer of its own. Streams and websockets may take any
    time.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.running: Running = {}  # the guard's, with the task of each
        self.late: set[Open] = set()  # cancelled, and still ending

    def cancel_late(self) -> None:
        """Cancel each handler whose time is over, once: what it does in its `finally` is left alone."""
        old = perf_counter() - self.seconds
        for exchange, task in list(takewhile(lambda item: item[0].started < old, self.running.items())):
            if task is not None and exchange not in self.late:
                self.late.add(exchange)
                task.cancel()
