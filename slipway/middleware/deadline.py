"""The time limit of requests: a late handler is cancelled, and its client gets a 504 if no answer has started."""

from itertools import takewhile
from time import perf_counter

from slipway.middleware.counts import Open, Running


class Deadline:
    """Finds late requests among the running ones, which are in order of arrival.

    The worker's heartbeat calls it, so that a request needs no timer of its own. Streams and websockets have no time
    limit.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.running: Running = {}  # the guard's, with the task of each
        self.late: set[Open] = set()  # cancelled, but not over yet

    def cancel_late(self) -> None:
        """Cancel each late handler, once, so that its `finally` blocks can run."""
        old = perf_counter() - self.seconds
        for exchange, task in list(takewhile(lambda item: item[0].started < old, self.running.items())):
            if task is not None and exchange not in self.late:
                self.late.add(exchange)
                task.cancel()
