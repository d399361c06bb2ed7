"""How long a worker's loop looks at one request alone."""

import asyncio
import time

from tests.harness.client import Address, request

MOST_SECONDS = 0.1  # by which the loop may be late
TICK_SECONDS = 0.01


class Turns:
    """The most that the loop's thread has worked between two of its turns, in seconds of its CPU time.

    No other process changes that, unlike the time by which the loop is late.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self._before = 0.0

    def watch(self) -> None:
        """Begin; called in the loop."""
        self._before = time.thread_time()
        asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)

    def take(self) -> float:
        """The longest since this was called last."""
        longest, self.longest = self.longest, 0.0
        return longest

    def _tick(self) -> None:
        self.longest = max(self.longest, time.thread_time() - self._before)
        self.watch()


async def longest_turn(mirror: Address) -> float:
    """The longest in the worker of the mirror app since this was asked last, in seconds."""
    return float((await request(mirror, "GET", "/turn")).body)
