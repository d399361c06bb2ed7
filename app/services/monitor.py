"""What a worker says of itself, its load, its memory and how late its event loop is; and what the others say."""

import asyncio
import json
import os
import resource
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from app.asgi.response import encode_json

from .bus import Beat, Bus, SlowReader
from .errors import Unavailable

BEAT_SECONDS = 2.0
GONE_SECONDS = 10.0  # a worker that has not been heard of for so long is no longer told of
STATM = Path("/proc/self/statm")


class Counter(Protocol):
    """Counts the worker's requests: the server, or the app itself."""

    total: int

    @property
    def active(self) -> int:
        """How many requests, streams and websockets are open."""


class Monitor:
    """Beats on the bus every two seconds."""

    def __init__(self, bus: Bus, counter: Counter, slot: int | None) -> None:
        self._bus = bus
        self._counter = counter
        self._since = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        self._seen = 0
        self._heard: dict[int, tuple[float, dict[str, Any]]] = {}
        self.identity = {"slot": slot, "pid": os.getpid()}

    def workers(self) -> list[dict[str, Any]]:
        """The last beat of each worker that is still heard of, by slot."""
        now = time.monotonic()
        beats = [beat for heard, beat in self._heard.values() if now - heard < GONE_SECONDS]
        return sorted(beats, key=lambda beat: (beat["slot"] or 0, beat["pid"]))

    async def run(self) -> None:
        """Beat and listen until cancelled."""
        await asyncio.gather(self._speak(), self._listen())

    async def _speak(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due = clock() + BEAT_SECONDS
            await asyncio.sleep(BEAT_SECONDS)
            beat = self._beat(lag=max(0.0, clock() - due))
            with suppress(Unavailable):
                await self._bus.beat(encode_json(beat))

    async def _listen(self) -> None:
        while True:
            with suppress(SlowReader):
                async with self._bus.subscribe() as items:
                    async for item in items:
                        if isinstance(item, Beat):
                            beat = json.loads(item.data)
                            # A new worker takes its slot's place; without slots each process has its own.
                            key = beat["pid"] if beat["slot"] is None else beat["slot"]
                            self._heard[key] = (time.monotonic(), beat)

    def _beat(self, lag: float) -> dict[str, Any]:
        requests = self._counter.total
        rate, self._seen = (requests - self._seen) / BEAT_SECONDS, requests
        return {
            **self.identity,
            "requests": requests,
            "rate": round(rate, 1),  # per second
            "connections": self._counter.active,  # requests, streams and websockets under way
            "memory": resident_bytes(),
            "lag": round(lag, 6),  # seconds
            "since": self._since,
        }


def resident_bytes() -> int:
    """The memory that this process has in RAM; where there is no /proc, the most that it ever had."""
    try:
        return int(STATM.read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
