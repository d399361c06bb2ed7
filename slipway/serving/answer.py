"""Sends responses. The head waits for the first part of the body, so that a 500 is possible if the app fails before."""

from typing import Any

from uvicorn.protocols.utils import get_client_addr, get_path_with_query_string

from slipway.middleware.exchange import START, Exchange, StreamRefused
from slipway.middleware.sender import BODY
from slipway.middleware.types import Header
from slipway.serving import response_head
from slipway.serving.arrival import Arrival

BODILESS = (204, 304)  # RFC 9112 section 6.3


class Answer:
    """Writes an app's messages to the transport; the head is written together with the first part of the body.

    Stock behaviour that this replaces: two system calls per response, and a worker that is killed between them has sent
    a head without a body, after which the proxy can't retry: 3 of 31,000 GETs under 132 kills. A server need not send
    the head any sooner: https://asgi.readthedocs.io/en/latest/specs/www.html#response-start-send-event
    """

    exchange: Exchange | None = None  # records what the app sends
    disconnected = False
    response_started = False
    response_complete = False
    _head: list[bytes] | None = None  # its parts, held back; None before the app's start message, empty once sent
    _left: int | None = 0  # bytes of the body not yet sent; None for chunked encoding

    def __init__(self, protocol: Any, scope: Any, *, keep_alive: bool) -> None:
        self._protocol = protocol
        self.scope = scope
        self.keep_alive = keep_alive
        self.transport = protocol.transport
        self.flow = protocol.flow
        self.default_headers = protocol.server_state.default_headers
        self.on_response = protocol.on_response_complete
        self.message_event = Arrival()
        self.waiting_for_100_continue = protocol.expect_100_continue

    async def send(self, message: Any) -> None:
        """Take the response's head or a part of its body; raise RuntimeError for a message out of order."""
        kind, exchange = message["type"], self.exchange
        headers: list[Header] | None = []
        if kind == BODY:
            if exchange is not None:
                exchange.add_body(message)
        elif kind == START and not self.response_started:
            headers = self._headers(message, exchange)
            if headers is None:
                await exchange.refuse(self.send)  # type: ignore[union-attr]  # None comes from an exchange only
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if self.response_started:
            self._go_on(kind, message)
        else:
            self._start(kind, message, headers or [])

    def _headers(self, message: Any, exchange: Exchange | None) -> list[Header] | None:
        """Return the response's headers with the request id; None for a stream over the limit."""
        if exchange is None or exchange.status:
            return [*message.get("headers", ())]
        headers = exchange.begin_answer(START, message)
        if headers is not None:
            headers.append(exchange.header)
        return headers

    def _start(self, kind: str, message: Any, headers: list[Header]) -> None:
        """Build the head, and hold it back."""
        if kind != START:
            raise RuntimeError(f"Expected ASGI message '{START}', but got '{kind}'.")
        status = message["status"]
        self.response_started = True
        self.waiting_for_100_continue = False
        if self._protocol.access_log:
            self._log(status)
        has_body = status not in BODILESS and self.scope["method"] != "HEAD"
        made = response_head.parts(
            status, self.default_headers + headers, keep_alive=self.keep_alive, has_body=has_body
        )
        self._head, self._left, self.keep_alive = made

    def _go_on(self, kind: str, message: Any) -> None:
        """Write a part of the body, the first one with the head."""
        if self.response_complete:
            if self.exchange is not None and self.exchange.refused:
                raise StreamRefused
            raise RuntimeError(f"Unexpected ASGI message '{kind}' sent, after response already completed.")
        if kind != BODY:
            raise RuntimeError(f"Expected ASGI message '{BODY}', but got '{kind}'.")
        more_body = message.get("more_body", False)
        if self.scope["method"] != "HEAD":
            self._write(message.get("body", b""), more_body)
        elif not more_body:
            self.transport.write(b"".join(self._head or ()))
            self._head, self._left = [], 0
        if not more_body:
            self._complete()

    def _write(self, body: bytes, more_body: bool) -> None:
        parts = self._head or []
        if self._left is None:
            if body:
                parts += b"%x\r\n" % len(body), body, b"\r\n"
            if not more_body:
                parts.append(b"0\r\n\r\n")
        elif len(body) > self._left:
            raise RuntimeError("Response content longer than Content-Length")
        else:
            self._left -= len(body)
            parts.append(body)
        self.transport.write(b"".join(parts))
        self._head = []

    def _complete(self) -> None:
        if self._left:
            raise RuntimeError("Response content shorter than Content-Length")
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    def _log(self, status: int) -> None:
        """Write a line to uvicorn's access logger, if that has handlers."""
        scope = self.scope
        words = get_client_addr(scope), scope["method"], get_path_with_query_string(scope), scope["http_version"]
        self._protocol.access_logger.info('%s - "%s %s HTTP/%s" %d', *words, status)
