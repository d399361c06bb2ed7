"""Measures how long a worker's event loop is busy with one turn."""

import asyncio
import time

from tests.harness.client import Address, request

MOST_SECONDS = 0.1  # for one turn of the loop
TICK_SECONDS = 0.01


class Turns:
    """The longest CPU time that the loop's thread took between two ticks, in seconds.

    Other processes do not change it, unlike the lag of the loop.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self._before = 0.0

    def watch(self) -> None:
        """Start to measure; called in the loop."""
        self._before = time.thread_time()
        asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)

    def take(self) -> float:
        """Return the longest turn since the last call."""
        longest, self.longest = self.longest, 0.0
        return longest

    def _tick(self) -> None:
        self.longest = max(self.longest, time.thread_time() - self._before)
        self.watch()


async def longest_turn(mirror: Address) -> float:
    """Return the longest turn in the mirror app's worker since the last time it was asked, in seconds."""
    return float((await request(mirror, "GET", "/turn")).body)
