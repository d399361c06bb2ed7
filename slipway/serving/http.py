"""An HTTP connection, which tells requests from offers of an upgrade and from malformed bytes."""

from functools import partial
from typing import Any

import httptools

from slipway.serving import heads, refusals, upgrade
from slipway.serving.connection import HttpConnection
from slipway.serving.websocket import WebSocketProtocol


class Deaf:
    """The parser of a connection whose further input is discarded."""

    def feed_data(self, data: bytes) -> None:
        """Discard it."""


class Http(HttpConnection):
    """A connection. A request that offers an upgrade is held back until it is known whether that is to a websocket.

    Stock behaviour that this replaces: httptools ends any request with an `Upgrade` after its head, and uvicorn parses
    the body of a request whose upgrade it declines as the next request, so that a client can smuggle requests
    (https://github.com/Kludex/uvicorn/issues/2722).
    """

    def _should_upgrade(self) -> bool:
        """Have the stock callbacks skip a request that offers an upgrade, so that `data_received` decides."""
        return True

    def data_received(self, data: bytes) -> None:
        """Parse it; requests start from the parser's callbacks."""
        self._idle_until = None
        try:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                self._offered(memoryview(data)[offer.args[0] :])
        except httptools.HttpParserError as error:
            self.logger.warning("Invalid HTTP request received.")
            reason = error.__context__  # what a callback has raised
            status = reason.status if isinstance(reason, heads.Malformed) else 400
            self.refuse(status, heads.DETAILS[status])

    def _offered(self, rest: memoryview) -> None:
        """Accept an upgrade to websockets, or parse the request again without the offer, then the rest of the data."""
        while True:
            if self.scope["method"] == "CONNECT":
                return self.refuse(400, "This is no proxy.")
            if upgrade.is_websocket(self.scope):
                return self._handshake(bytes(rest))
            head = upgrade.head(self.scope, self.url, without={b"upgrade"})
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as the stock parser
            self.parser.feed_data(head)
            try:
                return self.parser.feed_data(rest) if rest else None
            except httptools.HttpParserUpgrade as offer:
                rest = rest[offer.args[0] :]

    def _handshake(self, rest: bytes) -> None:
        """Hand the connection over to the websocket protocol."""
        if self.scope["method"] != "GET" or upgrade.has_body(self.scope):
            return self.refuse(400, "A websocket's handshake is a GET without a body.")
        if self.cycle is not None and not self.cycle.response_complete:
            return self.refuse(400, "A websocket's handshake waits for the answers before it.")
        self._unset_keepalive_if_required()  # the timer would keep us alive for the whole keep-alive time
        self.connections.discard(self)
        self.parser = None  # type: ignore[assignment]  # it references us: a cycle, left to the collector
        protocol = WebSocketProtocol(self.config, self.server_state, self.app_state)
        protocol.connection_made(self.transport)
        self.transport.set_protocol(protocol)
        protocol.begin(upgrade.head(self.scope, self.url), refusals.request_id(self.scope["headers"]), rest)

    def refuse(self, status: int, detail: str) -> None:
        """Answer the newest input with a problem, after earlier responses; discard all further input."""
        self.parser = Deaf()  # type: ignore[assignment]
        cycle = self.cycle
        request_id = refusals.request_id(self.scope["headers"] if self.scope else ())
        answer = partial(self._answer, refusals.response(status, detail, request_id))
        in_body = cycle is not None and cycle.scope is self.scope
        if cycle is None or (cycle.response_complete and not in_body):
            answer()
        elif cycle.response_complete:
            self.transport.close()  # a malformed body, after its request was answered
        elif not in_body:
            cycle.on_response = partial(_one_after_the_other, cycle.on_response, answer)
        elif self.pipeline:
            self.pipeline[0] = (cycle, refusals.refusing(status, detail))
        else:
            cycle.disconnected = True
            cycle.message_event.set()
            cycle.refuse(status, detail)

    def _answer(self, response: bytes) -> None:
        self._unset_keepalive_if_required()
        self.transport.write(response)
        self.transport.close()


class OneRequest(Http):
    """A connection for a single request, on a slot on loan.

    If the proxy kept it, this worker's end would break it along with those of the worker's own slot, and a GET that is
    tried again on "another worker" could meet this one twice. With two workers such a GET was lost.
    """

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        cycle.keep_alive = False
        super()._start_asgi_task(cycle, app)


def _one_after_the_other(first: Any, second: Any) -> None:
    first()
    second()
