"""The lines of the access log, each made from the facts about one request."""

import json
import os
from collections.abc import Mapping
from time import gmtime, strftime
from typing import Any

from orjson import dumps

from slipway.logs.lines import text
from slipway.middleware.exchange import Exchange

CLIENT_LEFT = 499  # nginx's status for a client that left before the answer
MOST_KNOWN = 1_000  # cached parts of lines: of methods with their routes, and of clients
MILLISECONDS = [b"%03d" % each for each in range(1_000)]

# Time of the end, method, route, path, client, exchange, and duration in seconds.
Facts = tuple[float, Any, str, Any, Any, Exchange, float]


class Digits(dict[int, bytes]):
    """The digits of whole numbers. Small ones are cached: making them takes twice as long as a look-up."""

    def __missing__(self, number: int) -> bytes:
        made = b"%d" % number
        if 0 <= number < MOST_KNOWN:
            self[number] = made
        return made


class AccessLines:
    """Makes the lines.

    A line is joined from parts: those of routes and clients are made once for each, and only the path is quoted anew.
    A whole `json.dumps` takes ten times as long. A float takes four times as long as a whole number, so durations are
    microseconds with an exponent, which JSON allows: 1230e-6.
    """

    def __init__(self, slot: int | None) -> None:
        self._worker = {"slot": slot, "pid": os.getpid()}
        self._second = 0
        self._date = b""
        self._known: dict[Any, bytes] = {}
        self._digits = Digits()

    def line(self, facts: Facts) -> bytes:
        """Return the line of one request, with its newline."""
        now, method, route, path, client, exchange, seconds = facts
        known, digits, own = self._known, self._digits, exchange.own
        asked = method, route, exchange.status
        try:
            part = now - self._second
            if not 0 <= part < 1:
                part = self._tick(now)
            if not path.isascii():
                raise ValueError  # orjson would write it as UTF-8, not ASCII
            parts = (
                self._date,
                MILLISECONDS[int(part * 1e3)],
                known.get(asked) or self._begin(*asked),
                dumps(path),
                b',"request_id":"',
                exchange.header[1],
                b'","trace_id":"',
                own if exchange.traceparent is None else exchange.trace_id.encode(),
                b'","span_id":"',
                own[:16],
                b'","duration":',
                digits[int(seconds * 1e6)],
                b'e-6,"ttfb":',
                digits[int((exchange.first - exchange.started) * 1e6) if exchange.first else 0],
                b'e-6,"bytes_in":',
                digits[exchange.received],
                b',"bytes_out":',
                digits[exchange.sent],
                known.get(client[0]) or self._end(client[0]),
            )
            return b"".join(parts)
        except Exception:  # no value in an app's scope may cost this record, or those made with it
            return self._of_anything(facts)

    def _begin(self, method: str, route: str, status: int) -> bytes:
        """Return the part from the time to the path."""
        asked = {"method": method, "route": route or None, "status": status or CLIENT_LEFT}
        words = _inner({"level": "INFO", "logger": "access", "message": "request", **asked})
        return self._keep((method, route, status), f'Z",{words},"path":'.encode())

    def _end(self, client: str) -> bytes:
        """Return the part from the client to the line's end."""
        return self._keep(client, f",{_inner({'client': client, **self._worker})}}}\n".encode())

    def _keep(self, key: Any, part: bytes) -> bytes:
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[key] = part
        return part

    def _tick(self, now: float) -> float:
        """Begin another second of UTC (RFC 3339); return the part of it that has passed."""
        self._second, self._date = int(now), strftime('{"time":"%Y-%m-%dT%H:%M:%S.', gmtime(now)).encode()
        return now - self._second

    def _of_anything(self, facts: Facts) -> bytes:
        """Return the line for any path and scope: values that JSON can't represent are written as their repr."""
        now, method, route, path, client, exchange, seconds = facts
        milliseconds = int(self._tick(now) * 1e3)
        words = {
            "level": "INFO",
            "logger": "access",
            "message": "request",
            "method": method,
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
        return b'%b%bZ",%b}\n' % (self._date, MILLISECONDS[milliseconds], _inner(words).encode())


def _inner(words: Mapping[str, object]) -> str:
    """Return a JSON object without its braces; raises nothing, whatever an app has put into its scope."""
    return text(words, cls=json.JSONEncoder, separators=(",", ":"), default=repr)[1:-1]
