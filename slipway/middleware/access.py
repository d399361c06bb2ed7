"""The access record: one JSON line for each request and websocket, when it is over."""

import os
import sys
from collections.abc import Callable
from json.encoder import encode_basestring_ascii as quoted  # the C function; a whole json.dumps takes 4 times as long
from time import gmtime, perf_counter, strftime, time

from app.asgi.exchange import Exchange
from app.asgi.types import Scope

HEALTH = frozenset({"/livez", "/readyz", "/healthz"})  # asked every few seconds, and of no interest


class AccessRecord:
    """Writes each record at once and whole, by default to stdout, where the lines of several workers meet."""

    def __init__(self, slot: int | None, write: Callable[[bytes], object] | None = None) -> None:
        self._tail = f',"pid":{os.getpid()},"slot":{"null" if slot is None else slot}}}\n'
        self._write = write or _to_stdout
        self._second = 0
        self._date = ""

    def __call__(self, scope: Scope, exchange: Exchange) -> None:
        if scope["path"] in HEALTH:
            return
        client = scope.get("client")
        line = (
            f'{{"time":"{self._now()}","level":"INFO","logger":"access"'
            f',"request_id":"{exchange.request_id}","method":"{scope.get("method", "WEBSOCKET")}"'
            f',"path":{quoted(scope["path"])},"status":{exchange.status or 499},"bytes":{exchange.sent}'
            f',"duration_ms":{(perf_counter() - exchange.started) * 1_000:.3f}'
            f',"client":{quoted(client[0]) if client else "null"}{self._tail}'
        )
        self._write(line.encode())

    def _now(self) -> str:
        """The time in UTC (RFC 3339); the part down to the second is made once a second."""
        now = time()
        if (second := int(now)) != self._second:
            self._second, self._date = second, strftime("%Y-%m-%dT%H:%M:%S", gmtime(second))
        return f"{self._date}.{int((now - second) * 1_000):03d}Z"


def _to_stdout(line: bytes) -> None:
    os.write(sys.__stdout__.fileno(), line) if sys.__stdout__ else None
