"""Runs under valgrind: imports and warms up once, then forks for each case; the children differ only in requests.

`python -m bench.layers.counted REQUESTS` prints a line for each child: its pid and its case.
"""

import asyncio
import gc
import os
import sys
from collections.abc import Callable
from functools import partial

from app.asgi.types import ASGIApp, Scope
from bench.layers.apps import bare, toolkit, yardstick
from slipway.middleware.access import AccessRecord
from slipway.middleware.counts import REQUEST, STREAM, WEBSOCKET, Counts
from slipway.middleware.guard import Guard, Record
from slipway.serving.cycle import Cycle
from slipway.serving.guarded_app import follow, other_status

HEALTH = frozenset({"/livez", "/readyz", "/healthz"})
WARMUP = 300  # requests, after which the interpreter has specialised the bytecode
BODY = b'{"name":"Edsger"}'
HEADERS = [
    (b"host", b"127.0.0.1:8080"),
    (b"x-request-id", b"0123456789abcdef0123456789abcdef"),
    (b"x-forwarded-for", b"127.0.0.1"),
    (b"x-forwarded-proto", b"http"),
    (b"accept", b"*/*"),
]
OF_BODY = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]
REQUESTS = {
    "GET": ("GET", "/api/users/2", HEADERS, bare.get_user),
    "POST": ("POST", "/api/users", HEADERS + OF_BODY, bare.create_user),
}


class Nowhere:
    """The parts of a connection that a request needs; writes are discarded."""

    expect_100_continue = access_log = write_paused = False

    def __init__(self) -> None:
        self.transport = self.flow = self.server_state = self
        self.default_headers = [(b"date", b"Thu, 01 Jan 2026 00:00:00 GMT")]
        self.tasks: set[object] = set()

    def write(self, data: bytes) -> None:
        """Discard data, in place of the transport."""

    def resume_reading(self) -> None:
        """Do nothing, in place of the flow control."""

    def on_response_complete(self) -> None:
        """Do nothing, in place of the protocol."""


class NoLog:
    """A log that never asks for lines, so that many are made at once, as under load."""

    def write(self, lines: bytes) -> None:
        """Discard the lines."""

    def write_later(self, make: Callable[[], bytes]) -> None:
        """Never call `make`, which a real log would."""


def guarded(app: ASGIApp, record: Record | None = None) -> Guard:
    """Return the app with the server's guard around it."""
    guard = Guard(app, Counts({REQUEST: 2_000, STREAM: 10_000, WEBSOCKET: 10_000}), exempt=HEALTH, record=record)
    guard.follow, guard.other_status = follow, other_status
    return guard


def layers(base: ASGIApp) -> dict[str, ASGIApp]:
    """Return the measured apps, from the bare one to the whole stack; all accept the same requests."""
    return {
        "bare": base,
        "yardstick": yardstick.application,
        "the server's guard": guarded(base),
        "all middleware": guarded(toolkit.duties(base)),
        "app": guarded(toolkit.application),
        "app, recorded": guarded(toolkit.application, AccessRecord(0, NoLog(), HEALTH)),
    }


def scope(method: str, path: str, headers: list[tuple[bytes, bytes]]) -> Scope:
    """Return a scope as uvicorn makes it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8_000),
        "state": {},
    }


def serve(app: ASGIApp, name: str, requests: int) -> None:
    """Run the app without an event loop's iterations: nothing that it awaits blocks."""
    method, path, headers, _ = REQUESTS[name]
    connection = Nowhere()
    for _ in range(requests):
        cycle = Cycle(connection, scope(method, path, headers), keep_alive=True)
        cycle.body, cycle.more_body = bytearray(BODY), False
        cycle.message_event.set()
        try:
            cycle.run_asgi(app).send(None)
        except StopIteration:
            continue
        sys.exit(f"{name}: the app waits for something")


def in_loop(work: Callable[[], object]) -> None:
    """Run `work` in a task: the guard calls current_task()."""

    async def task() -> None:
        work()

    asyncio.run(task())


def in_child(name: str, work: Callable[[], None]) -> None:
    """Run `work` in a child process, whose count goes into a file of its own."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        in_loop(work)
        os._exit(0)
    if os.waitpid(pid, 0)[1]:
        sys.exit(f"{name} failed")
    print(pid, name)


def main() -> None:
    """Warm everything up, then fork."""
    requests = int(sys.argv[1])
    cases = {
        f"{name} {layer}": (app, name) for name, (*_, base) in REQUESTS.items() for layer, app in layers(base).items()
    }
    for app, name in cases.values():
        in_loop(partial(serve, app, name, WARMUP))
    gc.collect()
    gc.disable()
    in_child("nothing", lambda: None)
    for case, (app, name) in cases.items():
        in_child(case, partial(serve, app, name, requests))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
