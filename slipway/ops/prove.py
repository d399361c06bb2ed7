"""`make prove`: load on the stack that runs, and in its middle a reload, a killed worker and a stop.

A table of what was promised and what was seen. The load are GETs of PROVE_PATH from kept-alive and fresh connections.
"""

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from urllib.parse import urlsplit

from slipway.ops import readiness, wait
from slipway.ops.percentile import percentile
from slipway.ops.report import Failure, say
from slipway.ops.runtime import Runtime
from slipway.ops.settings import Settings

CONNECTIONS = 8  # every second one is closed after each answer
PAUSE_SECONDS = 0.005  # between two requests of a connection: about 1,000 requests a second, no stress test
STEADY_SECONDS = 3.0
NOTICED_SECONDS = 0.02  # a p99 below this is no delay, whatever the steady one was
BACK_SECONDS = 2.0  # a killed worker's place is taken again within this


@dataclass
class Load:
    """What the clients have seen: latencies in seconds, and every answer that was none."""

    latencies: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def p99(self) -> float:
        return percentile(self.latencies, 99)


@contextmanager
def load(settings: Settings, path: str) -> Iterator[Load]:
    """Clients that ask until the block ends."""
    seen, stop = Load(), Event()
    clients = [
        Thread(target=_client, args=(settings, path, number % 2 == 0, seen, stop)) for number in range(CONNECTIONS)
    ]
    for client in clients:
        client.start()
    try:
        yield seen
    finally:
        stop.set()
        for client in clients:
            client.join()


def _client(settings: Settings, path: str, keep: bool, seen: Load, stop: Event) -> None:
    address = urlsplit(settings.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    while not stop.wait(PAUSE_SECONDS):
        start = time.perf_counter()
        try:
            connection.request("GET", path, headers={} if keep else {"Connection": "close"})
            answer = connection.getresponse()
            answer.read()
            if answer.status >= 500:
                seen.failures.append(f"status {answer.status}")
        except (OSError, http.client.HTTPException) as error:
            seen.failures.append(repr(error))
            connection.close()
        seen.latencies.append(time.perf_counter() - start)
    connection.close()


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    promise: str
    seen: str
    kept: bool


def prove(settings: Settings, runtime: Runtime) -> None:
    """Run all of it in under a minute; a promise that was not kept raises Failure."""
    path = settings.environment.get("PROVE_PATH") or "/"
    if not readiness.is_ready(settings, settings.url):
        raise Failure(
            f"{readiness.url(settings, settings.url)} does not answer as it should; `make up` starts the stack"
        )
    workers = len(runtime.serving())
    rows = [*_under_load(settings, runtime, path, workers), _stop(runtime)]
    runtime.start_app()
    back = wait.until(lambda: readiness.is_ready(settings, settings.url), 30)
    rows.append(Row("started again, it is ready", "yes" if back else "no", back))
    for row in rows:
        say(f"  {'kept  ' if row.kept else 'BROKEN'}  {row.promise:62} {row.seen}")
    if not all(row.kept for row in rows):
        raise Failure("a promise was not kept")


def _under_load(settings: Settings, runtime: Runtime, path: str, workers: int) -> Iterator[Row]:
    say(f"  load: GET {path} over {CONNECTIONS} clients, half of them with a new connection for each request")
    with load(settings, path) as steady:
        time.sleep(STEADY_SECONDS)
    yield _lost("steady load loses nothing", steady)
    say("  reload")
    with load(settings, path) as seen:
        runtime.reload()
    yield _lost(f"a reload of {workers} workers loses nothing", seen)
    yield Row(
        f"its p99 is at most 3 times the steady one, or {NOTICED_SECONDS * 1_000:.0f} ms",
        f"{seen.p99() * 1_000:.1f} ms, steady {steady.p99() * 1_000:.1f} ms",
        seen.p99() <= max(3 * steady.p99(), NOTICED_SECONDS),
    )
    say("  SIGKILL of a worker")
    with load(settings, path) as seen:
        pid = runtime.kill_worker()
        seconds = _until(lambda: pid not in (pids := runtime.serving()) and len(pids) == workers, 10)
        time.sleep(1)
    yield _lost("a killed worker loses no GET", seen)
    yield Row(f"its place is taken within {BACK_SECONDS:g} s", f"{seconds:.1f} s", seconds <= BACK_SECONDS)


def _stop(runtime: Runtime) -> Row:
    say("  stop")
    start = time.monotonic()
    code = runtime.stop_app()
    seconds, most = time.monotonic() - start, runtime.stop_seconds()
    return Row(
        f"it stops within {most:g} s with exit code 0", f"{seconds:.1f} s, code {code}", code == 0 and seconds < most
    )


def _lost(promise: str, seen: Load) -> Row:
    reasons = f": {seen.failures[0]}" if seen.failures else ""
    return Row(promise, f"{len(seen.failures)} of {len(seen.latencies):,} lost{reasons}", not seen.failures)


def _until(true: Callable[[], object], seconds: float) -> float:
    start = time.monotonic()
    wait.until(true, seconds)
    return time.monotonic() - start
