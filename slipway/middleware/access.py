"""The access record: one JSON line for each request and websocket, when it is over."""

import json
import os
from collections.abc import Callable, Mapping
from time import gmtime, strftime, time
from typing import Any

from orjson import dumps

from slipway.logs.writer import write as to_log
from slipway.middleware.exchange import Exchange
from slipway.middleware.types import Scope

CLIENT_LEFT = 499  # nginx's number for a client that left before the answer
MILLISECONDS = [f"{number:03d}" for number in range(1_000)]
MOST_KNOWN = 1_000  # methods with their routes, and clients, whose parts of a line are kept


def route_of(scope: Scope) -> str:
    """The template of its route, if the app says one, as a text or, as Starlette and FastAPI do, an object."""
    route = scope.get("route")
    if route.__class__ is not str:
        route = getattr(route, "path", "")
    return route if isinstance(route, str) else ""


class AccessRecord:
    """Makes each record and hands it on, by default to the process's log.

    Paths that are `quiet` (health checks, which come every few seconds) leave none. What a client says in its query
    may be secret, so it is left out unless `query` is set.

    The line is put together from parts: those of the worker are made once, those of routes and clients once for each,
    and only the path is quoted anew. A whole `json.dumps` takes ten times as long. A float takes four times as long as
    an int, so durations are microseconds with an exponent, which JSON has: 1230e-6.
    """

    def __init__(
        self,
        slot: int | None,
        write: Callable[[bytes], object] | None = None,
        quiet: frozenset[str] = frozenset(),
        *,
        query: bool = False,
    ) -> None:
        self._worker = {"slot": slot, "pid": os.getpid()}
        self._write = write or to_log
        self._quiet = quiet
        self._query = query
        self._second = 0
        self._date = ""
        self._known: dict[Any, str] = {}

    def __call__(self, scope: Scope, exchange: Exchange, route: str, seconds: float) -> None:
        """Record a request that took so long."""
        path: Any = scope.get("path")
        if path in self._quiet:
            return
        if self._query and (query := scope.get("query_string")):
            path = f"{path}?{query.decode('latin-1')}"
        try:
            client, _ = scope["client"]
            known = self._known
            asked = scope.get("method", "WEBSOCKET"), route
            begin = known.get(asked) or self._begin(*asked)
            end = known.get(client) or self._end(client)
            if not path.isascii() or exchange.status.__class__ is not int:
                raise ValueError  # orjson leaves it as UTF-8
            now = time()
            if (second := int(now)) != self._second:
                self._tick(second)
            first = exchange.first
            line = (
                f"{self._date}{MILLISECONDS[int((now - second) * 1_000)]}{begin}{dumps(path).decode()}"
                f',"request_id":"{exchange.request_id}","trace_id":"{exchange.trace_id}","span_id":"{exchange.span_id}"'
                f',"status":{exchange.status or CLIENT_LEFT},"duration":{int(seconds * 1e6)}e-6'
                f',"ttfb":{int((first - exchange.started) * 1e6) if first else 0}e-6'
                f',"bytes_in":{exchange.received},"bytes_out":{exchange.sent}{end}'
            ).encode()
        except (TypeError, ValueError, LookupError, AttributeError):
            line = self._of_anything(scope, exchange, path, route, seconds)
        self._write(line)

    def _begin(self, method: str, route: str) -> str:
        """From the time to the path."""
        words = {"level": "INFO", "logger": "access", "message": "request", "method": method, "route": route or None}
        return self._keep((method, route), f'Z",{_inner(words)},"path":')

    def _end(self, client: str) -> str:
        """From the client to the line's end."""
        return self._keep(client, f",{_inner({'client': client, **self._worker})}}}\n")

    def _keep(self, key: Any, part: str) -> str:
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[key] = part
        return part

    def _tick(self, second: int) -> None:
        """The time in UTC (RFC 3339), down to the second."""
        self._second, self._date = second, strftime('{"time":"%Y-%m-%dT%H:%M:%S.', gmtime(second))

    def _of_anything(self, scope: Scope, exchange: Exchange, path: object, route: str, seconds: float) -> bytes:
        """The same of a scope that is not as ASGI has it: what is no text is written as Python shows it."""
        client = scope.get("client")
        now = time()
        self._tick(int(now))
        words = {
            "level": "INFO",
            "logger": "access",
            "message": "request",
            "method": scope.get("method", "WEBSOCKET"),
            "route": route or None,
            "path": path,
            "request_id": exchange.request_id,
            "trace_id": exchange.trace_id,
            "span_id": exchange.span_id,
            "status": exchange.status or CLIENT_LEFT,
            "duration": round(seconds, 6),
            "ttfb": round(exchange.first - exchange.started, 6) if exchange.first else 0.0,
            "bytes_in": exchange.received,
            "bytes_out": exchange.sent,
            "client": client[0] if isinstance(client, (list, tuple)) and client else client or None,
            **self._worker,
        }
        return f'{self._date}{int(now % 1 * 1_000):03d}Z",{_inner(words)}}}\n'.encode()


def _inner(words: Mapping[str, object]) -> str:
    """An object without its braces."""
    return json.dumps(words, separators=(",", ":"), default=repr)[1:-1]
