"""The access record: one JSON line for each request and websocket, when it is over."""

import json
import os
from collections.abc import Callable
from json.encoder import encode_basestring_ascii as quoted  # the C function; a whole json.dumps takes 4 times as long
from time import gmtime, perf_counter, strftime, time
from typing import Any

from slipway.logs.writer import write as to_log
from slipway.middleware.exchange import Exchange
from slipway.middleware.types import Scope

CLIENT_LEFT = 499  # nginx's number for a client that left before the answer


class AccessRecord:
    """Makes each record and hands it on, by default to the process's log.

    Paths that are `quiet` (health checks, which come every few seconds) leave none.
    """

    def __init__(
        self,
        slot: int | None,
        write: Callable[[bytes], object] | None = None,
        quiet: frozenset[str] = frozenset(),
    ) -> None:
        self._worker = {"pid": os.getpid(), "slot": slot}
        self._tail = f",{json.dumps(self._worker, separators=(',', ':'))[1:]}\n"
        self._write = write or to_log
        self._quiet = quiet
        self._second = 0
        self._date = ""

    def __call__(self, scope: Scope, exchange: Exchange) -> None:
        path: Any = scope.get("path")
        if path in self._quiet:
            return
        client = scope.get("client")
        try:
            line = (
                f'{{"time":"{self._now()}","level":"INFO","logger":"access","request_id":"{exchange.request_id}"'
                f',"method":{quoted(scope.get("method", "WEBSOCKET"))},"path":{quoted(path)}'
                f',"status":{exchange.status or CLIENT_LEFT:d},"bytes":{exchange.sent}'
                f',"duration_ms":{(perf_counter() - exchange.started) * 1_000:.3f}'
                f',"client":{quoted(client[0]) if client else "null"}{self._tail}'
            )
        except (TypeError, ValueError, LookupError):
            line = self._of_anything(scope, exchange)
        self._write(line.encode())

    def _of_anything(self, scope: Scope, exchange: Exchange) -> str:
        """The same of a scope that is not as ASGI has it: what is no text is written as Python shows it."""
        client = scope.get("client")
        record = {
            "time": self._now(),
            "level": "INFO",
            "logger": "access",
            "request_id": exchange.request_id,
            "method": scope.get("method", "WEBSOCKET"),
            "path": scope.get("path"),
            "status": exchange.status or CLIENT_LEFT,
            "bytes": exchange.sent,
            "duration_ms": round((perf_counter() - exchange.started) * 1_000, 3),
            "client": client[0] if isinstance(client, (list, tuple)) and client else client or None,
            **self._worker,
        }
        return json.dumps(record, separators=(",", ":"), default=repr) + "\n"

    def _now(self) -> str:
        """The time in UTC (RFC 3339); the part down to the second is made once a second."""
        now = time()
        if (second := int(now)) != self._second:
            self._second, self._date = second, strftime("%Y-%m-%dT%H:%M:%S", gmtime(second))
        return f"{self._date}.{int((now - second) * 1_000):03d}Z"
