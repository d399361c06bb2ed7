"""The middleware itself: one coroutine around the app, which does all the work for a request."""

from collections.abc import Awaitable, Callable
from math import inf
from time import perf_counter

from slipway.metrics.board import Board
from slipway.middleware import instead, trace
from slipway.middleware.access import AccessRecord, route_of
from slipway.middleware.access_lines import CLIENT_LEFT
from slipway.middleware.counts import REQUEST, STREAM, WEBSOCKET, Counts
from slipway.middleware.deadline import Deadline
from slipway.middleware.exchange import Exchange
from slipway.middleware.problem import OVERLOADED, TOO_MANY_FIELDS
from slipway.middleware.root import Root
from slipway.middleware.sender import followed
from slipway.middleware.settings import GuardSettings
from slipway.middleware.types import ASGIApp, Receive, Scope, Send

KINDS = ("http", "websocket")

Record = Callable[[Scope, Exchange, str, float], None]  # called with the route and the duration in seconds
Follow = Callable[[Exchange, Send], Send]
OtherStatus = Callable[[Send], int | None]


def _as_it_is(scope: Scope) -> None:
    """Leave the scope as it is: no proxy is known."""


class Guard:
    """Counts requests, gives each an id, refuses those over the limits, and answers those that the app does not.

    `exempt` paths (health checks) pass the limit of open requests, or an overloaded worker would be taken for a dead
    one. `record` is called when a request is over. With a `deadline`, late requests are cancelled and answered.
    A server may set three functions: `see` writes the client behind a proxy into the scope, `follow` tells an exchange
    what its app sends, and `other_status` returns the status that the server sends in the app's place.
    """

    other_status: OtherStatus | None = None
    follow: Follow = staticmethod(followed)
    see: Callable[[Scope], object] = staticmethod(_as_it_is)

    def __init__(
        self,
        app: ASGIApp,
        counts: Counts,
        *,
        exempt: frozenset[str] = frozenset(),
        record: Record | None = None,
        deadline: Deadline | None = None,
        max_headers: int = 1 << 30,
    ) -> None:
        self.app = app
        self.counts = counts
        self.exempt = exempt
        self.record = record
        self.deadline = deadline or Deadline(inf)
        self.deadline.running = counts.running[REQUEST]
        self.max_headers = max_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind, counts = scope["type"], self.counts
        if kind not in KINDS:
            return await self._pass(scope, receive, send)
        self.see(scope)
        exchange = Exchange(kind, scope["headers"], counts)
        answer = self.follow(exchange, send)
        running = counts.begin(exchange)
        state = scope["state"] if "state" in scope else scope.setdefault("state", {})
        state["exchange"] = exchange
        state["request_id"] = exchange.request_id
        trace.current.set(exchange)  # in the request's own task
        if exchange.counts_received:
            receive = exchange.receiver(receive)
        try:
            if len(running) > counts.limits[kind] or len(scope["headers"]) > self.max_headers:
                await self._limit(scope, receive, answer, exchange)
            else:
                await self.app(scope, receive, answer)
            if not exchange.status:
                await self._answer(None, scope, receive, answer, exchange)
            if not exchange.sent:  # as after most errors, seldom otherwise
                self._correct(kind, send, exchange)
        except BaseException as error:
            if not await self._answer(error, scope, receive, answer, exchange):
                self._correct(kind, send, exchange)
                raise
        finally:
            self._end(scope, exchange, kind)

    def _end(self, scope: Scope, exchange: Exchange, kind: str) -> None:
        """Count and record a finished request."""
        seconds = perf_counter() - exchange.started
        exchange.over = True
        self.counts.end(exchange)
        if self.deadline.late:
            self.deadline.late.discard(exchange)
        route = scope.get("route", "")
        if route.__class__ is not str:
            route = route_of(scope)
        if kind == REQUEST:
            try:
                self.counts.board.observe(scope["method"], route, exchange.status or CLIENT_LEFT, seconds)
                if exchange.kind == STREAM:
                    self.counts.board.streamed(seconds)
            except (TypeError, LookupError):  # the app's status is no number, or its scope violates ASGI
                pass
        if self.record is not None:
            self.record(scope, exchange, route, seconds)

    async def _limit(self, scope: Scope, receive: Receive, send: Send, exchange: Exchange) -> None:
        """Refuse a request over a limit; a health check only for too many header fields."""
        if len(scope["headers"]) > self.max_headers:
            await instead.refuse(scope, receive, send, exchange, 431, TOO_MANY_FIELDS)
        elif scope.get("path") in self.exempt:
            await self.app(scope, receive, send)
        else:
            await instead.refuse(scope, receive, send, exchange, 503, OVERLOADED)

    def _correct(self, kind: str, send: Send, exchange: Exchange) -> None:
        """Record the status that the client gets, where it differs from the app's."""
        if kind == REQUEST and self.other_status is not None:
            status = self.other_status(send)
            if status is not None:
                exchange.status, exchange.sent = status, 0

    async def _answer(
        self, error: BaseException | None, scope: Scope, receive: Receive, send: Send, exchange: Exchange
    ) -> bool:
        if exchange in self.deadline.late and not exchange.status:
            return await instead.late(scope, send, exchange)
        return await instead.failed(error, scope, receive, send, exchange)

    def _pass(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass on a scope that is no request; a lifespan gets the counts in its state."""
        if scope["type"] == "lifespan":
            scope.setdefault("state", {})["counts"] = self.counts
        return self.app(scope, receive, send)


def guarded(app: ASGIApp, settings: GuardSettings, slot: int | None, board: Board | None = None) -> Guard:
    """Return the middleware around an app, configured by the settings."""
    limits = {
        REQUEST: settings.max_requests_in_flight,
        STREAM: settings.max_streams,
        WEBSOCKET: settings.max_websockets,
    }
    health = settings.health_paths
    record = AccessRecord(slot, quiet=health, query=settings.log_query) if settings.access_log else None
    return Guard(
        Root(app, settings.root_path) if settings.root_path else app,
        Counts(limits, board=board or Board()),
        exempt=health,
        record=record,
        deadline=Deadline(settings.request_timeout or inf),
        max_headers=settings.max_headers,
    )
