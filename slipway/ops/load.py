"""A steady load of GETs, and whether other programs kept the machine busy: for `make prove` and screenshots."""

import hashlib
import http.client
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from urllib.parse import urlsplit

from slipway.ops.percentile import percentile
from slipway.ops.settings import StackSettings
from slipway.ops.wait import Connection

CONNECTIONS = 8  # every second one is closed after each response
PAUSE_SECONDS = 0.005  # between two requests of a connection: about 1,000 requests a second, no stress test
PROBE_SECONDS = 0.2  # between two probes of the machine
PROBE_BYTES = b"\0" * (1 << 22)  # hashed without the GIL: some milliseconds of CPU
CROWDED = 2.0  # wall time divided by CPU time; above it a program gets less than half of a core: other programs run


@dataclass
class Load:
    """Results of the clients: latencies in seconds, and failures (5xx or an error)."""

    latencies: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    """For each probe: its wall time divided by its CPU time."""

    def p99(self) -> float:
        """Return the latency that 99 of 100 requests do not exceed."""
        return percentile(self.latencies, 99)

    @property
    def crowded(self) -> bool:
        """Whether other programs kept the machine busy, so that times say little about this stack."""
        return bool(self.waits) and statistics.median(self.waits) > CROWDED


@contextmanager
def load(settings: StackSettings, path: str) -> Iterator[Load]:
    """Run clients that send requests until the block ends."""
    seen, stop = Load(), Event()
    threads = [
        Thread(target=_client, args=(settings, path, number % 2 == 0, seen, stop)) for number in range(CONNECTIONS)
    ]
    threads.append(Thread(target=_probe, args=(seen, stop)))
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _client(settings: StackSettings, path: str, keep: bool, seen: Load, stop: Event) -> None:
    address = urlsplit(settings.url)
    headers = ({} if keep else {"Connection": "close"}) | ({"Host": settings.ready_host} if settings.ready_host else {})
    connection = Connection(address.hostname or "", address.port, 30, proxied=settings.edge.proxy_protocol)
    while not stop.wait(PAUSE_SECONDS):
        start = time.perf_counter()
        try:
            connection.request("GET", settings.edge.root_path + path, headers=headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status >= 500:
                seen.failures.append(f"status {answer.status}")
        except (OSError, http.client.HTTPException) as error:
            seen.failures.append(repr(error))
            connection.close()
        seen.latencies.append(time.perf_counter() - start)
    connection.close()


def _probe(seen: Load, stop: Event) -> None:
    while not stop.wait(PROBE_SECONDS):
        start, computed = time.perf_counter(), time.thread_time()
        hashlib.sha256(PROBE_BYTES)
        seen.waits.append((time.perf_counter() - start) / max(time.thread_time() - computed, 1e-6))
