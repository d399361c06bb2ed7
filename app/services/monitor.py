"""Sends a worker's beat (its load, memory and event-loop lag), and collects the beats of all workers."""

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
AWAY_SECONDS = 0.5  # while the bus is away: a beat that succeeds shows that it is back
# Beats are due just after whole seconds, when the server's heartbeat has woken the process anyway: a wake-up costs more
# than the work done in it. Half of the workers beat in one second, the others in the next, each in its own turn.
TURN_SECONDS = 0.002
TURNS = 16
AGAIN_SECONDS = 1.0  # after an unexpected failure
MOST_WORKERS = 4_096  # in the list
GONE_SECONDS = 10.0  # seconds without a beat after which a worker is left out
STATM = Path("/proc/self/statm")
STATM_BYTES = 200  # more than the file has


class Counter(Protocol):
    """A counter of the worker's requests: the server's, or the app's own."""

    total: int

    @property
    def active(self) -> int:
        """The number of open requests, streams and websockets."""

    @property
    def reloads(self) -> int | None:
        """The number of reloads of the server; None where they are not counted."""

    def durations(self) -> tuple[Sequence[float], Sequence[float]]:
        """Return bucket limits in seconds and requests per bucket, the last one unlimited; empty if not measured."""


class Monitor:
    """Sends a beat on the bus every two seconds, more often while the bus is away."""

    def __init__(self, bus: Bus, counter: Counter, slot: int | None) -> None:
        self._bus = bus
        self._counter = counter
        self._since = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        self._seen = (0, time.monotonic())  # the requests at the last beat, and its time
        self._latencies = Latencies()
        self._logged: set[str] = set()
        self._heard: dict[tuple[str, int], tuple[float, dict[str, Any]]] = {}
        self.identity = {"slot": slot, "pid": os.getpid()}
        self._turn = turn(os.getpid() if slot is None else slot)

    def workers(self) -> list[dict[str, Any]]:
        """Return the last beats, in the order of slots, of the workers heard from within GONE_SECONDS."""
        now = time.monotonic()
        beats = [beat for heard, beat in self._heard.values() if now - heard < GONE_SECONDS]
        return sorted(beats, key=lambda beat: (beat["slot"] or 0, beat["pid"]))

    async def run(self) -> None:
        """Beat and listen until cancelled."""
        await asyncio.gather(self._always(self._speak), self._always(self._listen))

    async def _always(self, part: Callable[[], Awaitable[None]]) -> None:
        """Run a part again whenever it ends."""
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
        # A new worker replaces the former one of its slot; without slots, each process has its own entry.
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
            "connections": self._counter.active,  # open requests, streams and websockets
            "memory": resident_bytes(),
            "lag": round(lag, 6),  # seconds
            "reloads": self._counter.reloads,
            "since": self._since,
        }


def turn(number: int) -> float:
    """Return a worker's offset in a period, in seconds: no worker waits for another's lock, no thread for its loop."""
    half, place = number % 2, number // 2 % TURNS
    return half * BEAT_SECONDS / 2 + (1 + place) * TURN_SECONDS


def resident_bytes() -> int:
    """Return this process's resident memory; without /proc, the highest so far."""
    try:
        with STATM.open("rb", buffering=0) as file:
            return int(file.read(STATM_BYTES).split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
