"""uvicorn's HTTP protocol, changed in how requests start and in how connections idle and close."""

import asyncio
from collections import deque
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from slipway.serving import heads, refusals
from slipway.serving.closing import Closing
from slipway.serving.cycle import Cycle

BUSY = refusals.refusing(503, "The server has all that it can serve.")
TRAILERS: Any = deque(maxlen=0)  # discards what is appended


class HttpConnection(HttpToolsProtocol):
    """Starts requests with our own Cycle, without a timer and a callback for each of them."""

    app: Any
    cycle: Any
    pipeline: Any
    _idle_until: float | None = None  # by the loop's clock; None while a request is under way

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport = Closing(transport)  # type: ignore[assignment]

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        cycle.task = task = self.loop.create_task(cycle.run_asgi(app))
        self.tasks.add(task)

    def on_headers_complete(self) -> None:
        """Start a request; trailer fields after its body are discarded, since no proxy has checked them."""
        parser, scope = self.parser, self.scope
        scope["http_version"] = version = heads.check(parser, self.url, self.headers)
        scope["method"] = parser.get_method().decode("ascii")
        self.headers = TRAILERS
        if parser.should_upgrade():
            return
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        scope["path"] = self.root_path + (unquote(path) if "%" in path else path)
        scope["raw_path"] = self.root_path.encode("ascii") + url.path
        scope["query_string"] = url.query or b""
        before = self.cycle
        self.cycle = cycle = Cycle(self, scope, keep_alive=version != "1.0" and parser.should_keep_alive())
        app = BUSY if self._is_full() else self.app
        if before is None or before.response_complete:
            self._start_asgi_task(cycle, app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, app))

    def _is_full(self) -> bool:
        limit = self.limit_concurrency
        return limit is not None and (len(self.connections) >= limit or len(self.tasks) >= limit)

    def on_response_complete(self) -> None:
        """Start the next pipelined request, or begin to idle."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_until = self.loop.time() + self.timeout_keep_alive
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_at(self._idle_until, self._end_idle)

    def _end_idle(self) -> None:
        """Close a connection that has idled for its keep-alive time; one timer serves all requests."""
        self.timeout_keep_alive_task = None
        if self._idle_until is None:
            return
        if self.loop.time() < self._idle_until:
            self.timeout_keep_alive_task = self.loop.call_at(self._idle_until, self._end_idle)
        else:
            self.timeout_keep_alive_handler()
