"""The access record: one JSON line for each request and websocket, when it is over."""

import threading
from collections import deque
from collections.abc import Callable
from time import time
from typing import Any, Protocol

from slipway.logs import writer
from slipway.middleware.access_lines import AccessLines, Facts
from slipway.middleware.exchange import Exchange
from slipway.middleware.types import Scope

TOGETHER = 128  # lines made in one go


class LineWriter(Protocol):
    """The interface of slipway.logs.batches.Writer that is used here."""

    def write(self, lines: bytes) -> None:
        """Take lines with their newlines."""

    def write_later(self, make: Callable[[], bytes]) -> None:
        """Call `make` soon, in any thread, for the lines noted by then."""


def route_of(scope: Scope) -> str:
    """Return the route's template, which the app sets as a str or, as Starlette does, an object; empty if none."""
    route = scope.get("route")
    if route.__class__ is not str:
        route = getattr(route, "path", "")
    return route if isinstance(route, str) else ""


class AccessRecord:
    """Notes each request, makes the lines of many at once and writes them, by default to the process's log.

    `quiet` paths (health checks, which come every few seconds) leave no record. A query may contain secrets, so it is
    left out unless `query` is set.

    Making a line within its request takes twice as long as making it right after others. So lines are made once
    TOGETHER requests are noted, or when the log asks for them, which may be in another thread.
    """

    def __init__(
        self, slot: int | None, log: LineWriter = writer, quiet: frozenset[str] = frozenset(), *, query: bool = False
    ) -> None:
        self._lines = AccessLines(slot)
        self._log = log
        self._quiet = quiet
        self._query = query
        self._noted: deque[Facts] = deque()
        self._making = threading.Lock()
        self._asked = False  # whether the log will call _when_asked

    def __call__(self, scope: Scope, exchange: Exchange, route: str, seconds: float) -> None:
        """Record a request that took `seconds`."""
        path: Any = scope.get("path")
        if path.__class__ is str and path in self._quiet:
            return
        if self._query and (query := scope.get("query_string")) and isinstance(query, bytes):
            path = f"{path}?{query.decode('latin-1')}"
        noted, method = self._noted, scope.get("method", "WEBSOCKET")
        noted.append((time(), method, route, path, scope.get("client"), exchange, seconds))
        if len(noted) >= TOGETHER:
            self._log.write(self._make())
        elif not self._asked:
            self._asked = True
            self._log.write_later(self._when_asked)

    def _when_asked(self) -> bytes:
        self._asked = False  # first, since requests noted while lines are made may not be among them
        return self._make()

    def _make(self) -> bytes:
        with self._making:
            return b"".join([self._lines.line(self._noted.popleft()) for _ in range(len(self._noted))])
