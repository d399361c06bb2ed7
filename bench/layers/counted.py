"""Runs under valgrind: imports and warms up once, then forks for each case, so that what differs is its requests.

`python -m bench.layers.counted REQUESTS` prints a line for each child: its pid and its case.
"""

import asyncio
import gc
import os
import sys
from collections.abc import Callable
from functools import partial

from app.asgi.types import ASGIApp, Message, Scope
from bench.layers.apps import bare, toolkit, yardstick
from slipway.middleware.access import AccessRecord
from slipway.middleware.counts import REQUEST, STREAM, WEBSOCKET, Counts
from slipway.middleware.guard import Guard

WARMUP = 300  # requests; by then the interpreter has specialised what it can
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


def layers(base: ASGIApp) -> dict[str, ASGIApp]:
    """What stands around what, from the inside out; all take the same requests."""
    counts = Counts({REQUEST: 2_000, STREAM: 10_000, WEBSOCKET: 10_000})
    record = AccessRecord(0, lambda line: None, toolkit.HEALTH)
    return {
        "bare": base,
        "yardstick": yardstick.application,
        "the server's guard": Guard(base, counts, exempt=toolkit.HEALTH),
        "all middleware": toolkit.duties(base),
        "app": toolkit.duties(toolkit.router()),
        "app, recorded": toolkit.duties(toolkit.router(), record),
    }


async def receive() -> Message:
    return {"type": "http.request", "body": BODY, "more_body": False}


async def send(message: Message) -> None:
    """Take it."""


def scope(method: str, path: str, headers: list[tuple[bytes, bytes]]) -> Scope:
    """As uvicorn makes it."""
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
    """Run the app without turns of a loop: nothing that it awaits has to wait."""
    method, path, headers, _ = REQUESTS[name]
    for _ in range(requests):
        coroutine = app(scope(method, path, headers), receive, send)
        try:
            coroutine.send(None)  # type: ignore[attr-defined]
        except StopIteration:
            continue
        sys.exit(f"{name}: the app waits for something")


def in_loop(work: Callable[[], object]) -> None:
    """Do it in a task: the guard asks for its own."""

    async def task() -> None:
        work()

    asyncio.run(task())


def in_child(name: str, work: Callable[[], None]) -> None:
    """Do it in a child, whose count goes into a file of its own."""
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
