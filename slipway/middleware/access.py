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
MOST_KNOWN = 1_000  # methods with their routes, and clients, whose parts of a line are kept
LINE = (
    b'%b%03d%b%b,"request_id":"%b","trace_id":"%b","span_id":"%b"'
    b',"duration":%de-6,"ttfb":%de-6,"bytes_in":%d,"bytes_out":%d%b'
)


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
    a whole number, so durations are microseconds with an exponent, which JSON has: 1230e-6.
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
        self._date = b""
        self._known: dict[Any, bytes] = {}

    def __call__(self, scope: Scope, exchange: Exchange, route: str, seconds: float) -> None:
        """Record a request that took so long."""
        path: Any = scope.get("path")
        if path in self._quiet:
            return
        if self._query and (query := scope.get("query_string")):
            path = f"{path}?{query.decode('latin-1')}"
        try:
            client, _ = scope["client"]
            known, own = self._known, exchange.own
            asked = scope.get("method", "WEBSOCKET"), route, exchange.status
            part = time() - self._second
            if not 0 <= part < 1:
                part = self._tick()
            if not path.isascii():
                raise ValueError  # orjson leaves it as UTF-8
            line = LINE % (
                self._date,
                part * 1e3,
                known.get(asked) or self._begin(*asked),
                dumps(path),
                exchange.header[1],
                own if exchange.traceparent is None else exchange.trace_id.encode(),
                own[:16],
                seconds * 1e6,
                (exchange.first - exchange.started) * 1e6 if exchange.first else 0,
                exchange.received,
                exchange.sent,
                known.get(client) or self._end(client),
            )
        except (TypeError, ValueError, LookupError, AttributeError):
            line = self._of_anything(scope, exchange, path, route, seconds)
        self._write(line)

    def _begin(self, method: str, route: str, status: int) -> bytes:
        """From the time to the path."""
        asked = {"method": method, "route": route or None, "status": status or CLIENT_LEFT}
        words = _inner({"level": "INFO", "logger": "access", "message": "request", **asked})
        return self._keep((method, route, status), f'Z",{words},"path":'.encode())

    def _end(self, client: str) -> bytes:
        """From the client to the line's end."""
        return self._keep(client, f",{_inner({'client': client, **self._worker})}}}\n".encode())

    def _keep(self, key: Any, part: bytes) -> bytes:
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[key] = part
        return part

    def _tick(self) -> float:
        """Begin another second of UTC (RFC 3339); the part of it that has passed."""
        now = time()
        self._second, self._date = int(now), strftime('{"time":"%Y-%m-%dT%H:%M:%S.', gmtime(now)).encode()
        return now - self._second

    def _of_anything(self, scope: Scope, exchange: Exchange, path: object, route: str, seconds: float) -> bytes:
        """The same of a scope that is not as ASGI has it: what is no text is written as Python shows it."""
        client = scope.get("client")
        part = self._tick()
        words = {
            "level": "INFO",
            "logger": "access",
            "message": "request",
            "method": scope.get("method", "WEBSOCKET"),
            "route": route or None,
            "status": exchange.status or CLIENT_LEFT,
            "path": path,
            "request_id": exchange.request_id,
            "trace_id": exchange.trace_id,
            "span_id": exchange.span_id,
            "duration": round(seconds, 6),
            "ttfb": round(exchange.first - exchange.started, 6) if exchange.first else 0.0,
            "bytes_in": exchange.received,
            "bytes_out": exchange.sent,
            "client": client[0] if isinstance(client, (list, tuple)) and client else client or None,
            **self._worker,
        }
        return b'%b%03dZ",%b}\n' % (self._date, part * 1e3, _inner(words).encode())


def _inner(words: Mapping[str, object]) -> str:
    """An object without its braces."""
    return json.dumps(words, separators=(",", ":"), default=repr)[1:-1]
