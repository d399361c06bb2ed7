"""What a worker says of itself, its load, its memory and how late its event loop is; and what the others say."""

import asyncio
import logging
import os
import resource
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from app.asgi.codec import json_text

from .beats import parse_beat
from .bus import Beat, Bus, SlowReader
from .errors import Unavailable
from .latency import Latencies, quantile

log = logging.getLogger("app.monitor")

BEAT_SECONDS = 2.0
AWAY_SECONDS = 0.5  # while the bus is away beats are how it is noticed that it is back
# Beats are due just after whole seconds, when the server's heartbeat has woken the process, since a wake-up costs more
# than what is done then: of half of the workers in one second, of the others in the next, each in its own turn.
TURN_SECONDS = 0.002
TURNS = 16
AGAIN_SECONDS = 1.0  # after a failure that is not expected
MOST_WORKERS = 4_096  # that are told of
GONE_SECONDS = 10.0  # a worker that has not been heard of for so long is no longer told of
STATM = Path("/proc/self/statm")
STATM_BYTES = 200  # more than it has


class Counter(Protocol):
    """Counts the worker's requests: the server, or the app itself."""

    total: int

    @property
    def active(self) -> int:
        """How many requests, streams and websockets are open."""

    @property
    def reloads(self) -> int | None:
        """How many reloads of the server were done; None where nothing counts them."""

    def durations(self) -> tuple[Sequence[float], Sequence[float]]:
        """Limits in seconds, and how many requests took at most as long each, or longer; empty if nothing measures."""


class Monitor:
    """Beats on the bus every two seconds, more often while it is away."""

    def __init__(self, bus: Bus, counter: Counter, slot: int | None) -> None:
        self._bus = bus
        self._counter = counter
        self._since = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        self._seen = (0, time.monotonic())  # requests, and when they were that many
        self._latencies = Latencies()
        self._logged: set[str] = set()
        self._heard: dict[tuple[str, int], tuple[float, dict[str, Any]]] = {}
        self.identity = {"slot": slot, "pid": os.getpid()}
        self._turn = turn(os.getpid() if slot is None else slot)

    def workers(self) -> list[dict[str, Any]]:
        """The last beat of each worker that is still heard of, by slot."""
        now = time.monotonic()
        beats = [beat for heard, beat in self._heard.values() if now - heard < GONE_SECONDS]
        return sorted(beats, key=lambda beat: (beat["slot"] or 0, beat["pid"]))

    async def run(self) -> None:
        """Beat and listen until cancelled."""
        await asyncio.gather(self._always(self._speak), self._always(self._listen))

    async def _always(self, part: Callable[[], Awaitable[None]]) -> None:
        """Whatever ends a part, it begins anew."""
        while True:
            try:
                await part()
            except SlowReader:
                continue
            except Exception as error:
                if self._is_first(f"{part} {type(error)}"):
                    log.exception("the monitor failed and goes on")
            await asyncio.sleep(AGAIN_SECONDS)

    async def _speak(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            period = BEAT_SECONDS if self._bus.available else AWAY_SECONDS
            due = ((clock() - self._turn) // period + 1) * period + self._turn
            await asyncio.sleep(due - clock())
            beat = self._beat(lag=max(0.0, clock() - due))
            with suppress(Unavailable):
                await self._bus.beat(json_text(beat))

    async def _listen(self) -> None:
        async with self._bus.subscribe() as items:
            async for item in items:
                if isinstance(item, Beat):
                    self._hear(item)

    def _hear(self, item: Beat) -> None:
        now, beat = time.monotonic(), parse_beat(item.data)
        if beat is None:
            if self._is_first("beat"):
                log.warning("a beat of another shape is ignored, as will be others: %.200r", item.data)
            return
        # A new worker takes its slot's place; without slots each process has its own.
        key = ("pid", beat["pid"]) if beat["slot"] is None else ("slot", beat["slot"])
        if key not in self._heard and len(self._heard) >= MOST_WORKERS:
            self._heard = {name: known for name, known in self._heard.items() if now - known[0] < GONE_SECONDS}
        if key in self._heard or len(self._heard) < MOST_WORKERS:
            self._heard[key] = (now, beat)

    def _is_first(self, kind: str) -> bool:
        first = kind not in self._logged
        self._logged.add(kind)
        return first

    def _beat(self, lag: float) -> dict[str, Any]:
        (before, since), now = self._seen, time.monotonic()
        requests = self._counter.total
        self._seen = (requests, now)
        limits, counts = self._counter.durations()
        recent = self._latencies.take(counts)
        return {
            **self.identity,
            "requests": requests,
            "rate": round((requests - before) / max(now - since, AWAY_SECONDS), 1),  # per second
            "p50": quantile(0.5, limits, recent),  # seconds
            "p99": quantile(0.99, limits, recent),
            "connections": self._counter.active,  # requests, streams and websockets under way
            "memory": resident_bytes(),
            "lag": round(lag, 6),  # seconds
            "reloads": self._counter.reloads,
            "since": self._since,
        }


def turn(number: int) -> float:
    """When in a period a worker beats, in seconds: none waits for another's lock, nor its thread for its loop."""
    half, place = number % 2, number // 2 % TURNS
    return half * BEAT_SECONDS / 2 + (1 + place) * TURN_SECONDS


def resident_bytes() -> int:
    """The memory that this process has in RAM; where there is no /proc, the most that it ever had."""
    try:
        with STATM.open("rb", buffering=0) as file:
            return int(file.read(STATM_BYTES).split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
