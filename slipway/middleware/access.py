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

TOGETHER = 128  # lines that are made in one go


class LineWriter(Protocol):
    """What takes lines: a slipway.logs.batches.Writer."""

    def write(self, lines: bytes) -> None:
        """Take lines with their newlines."""

    def write_later(self, make: Callable[[], bytes]) -> None:
        """Call this within a moment, in any thread, for the lines that there are by then."""


def route_of(scope: Scope) -> str:
    """The template of its route, if the app says one, as a text or, as Starlette and FastAPI do, an object."""
    route = scope.get("route")
    if route.__class__ is not str:
        route = getattr(route, "path", "")
    return route if isinstance(route, str) else ""


class AccessRecord:
    """Notes each request, makes the lines of many at once, and hands them on, by default to the process's log.

    Paths that are `quiet` (health checks, which come every few seconds) leave none. What a client says in its query
    may be secret, so it is left out unless `query` is set.

    Among all else that a request does, its line takes twice as long to make as right after others. So it is not made
    then, but when there are so many, or when the log asks, which may be in another thread.
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
        self._asked = False  # whether the log is going to ask

    def __call__(self, scope: Scope, exchange: Exchange, route: str, seconds: float) -> None:
        """Record a request that took so long."""
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
        self._asked = False  # first: what is noted while lines are made may not be among them
        return self._make()

    def _make(self) -> bytes:
        with self._making:
            return b"".join([self._lines.line(self._noted.popleft()) for _ in range(len(self._noted))])
