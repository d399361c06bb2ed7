"""A request and its answer: what uvicorn's RequestResponseCycle is to its protocol, and what an app gets of it."""

import asyncio
from typing import Any

from uvicorn.protocols.utils import get_client_addr, get_path_with_query_string

from slipway.middleware.exchange import START, Exchange, StreamRefused
from slipway.middleware.sender import BODY
from slipway.middleware.types import Header
from slipway.serving import refusals, response_head
from slipway.serving.arrival import Arrival

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSE = b"connection", b"close"
BODILESS = (204, 304)  # RFC 9112 section 6.3


class Cycle:
    """Holds an answer's head back until the first of its body, so that an app which fails can be answered for.

    Stock behaviour that this answers: two system calls for each response, and a worker that is killed between them has
    sent a head without its body, which the proxy can't ask for again: 3 of 31,000 GETs under 132 kills. A server need
    not send the head any sooner: https://asgi.readthedocs.io/en/latest/specs/www.html#response-start-send-event
    """

    exchange: Exchange | None = None  # is told what the app sends
    task: asyncio.Task[None] | None = None
    disconnected = False
    more_body = True  # of the request
    response_started = False
    response_complete = False
    _head: list[bytes] | None = None  # what is held back; empty once it is out
    _left: int | None = 0  # bytes of the body that are still to come; None where it is sent in chunks
    _refused: int | None = None  # the status that was sent in the app's place

    def __init__(self, protocol: Any, scope: Any, *, keep_alive: bool) -> None:
        self._protocol = protocol
        self.scope = scope
        self.transport = protocol.transport
        self.flow = protocol.flow
        self.default_headers = protocol.server_state.default_headers
        self.on_response = protocol.on_response_complete
        self.message_event = Arrival()
        self.body = bytearray()
        self.waiting_for_100_continue = protocol.expect_100_continue
        self._keep_alive = keep_alive
        # A client that has its answer before it was told to go on may leave the body out: what comes next on the
        # connection could be either.
        self.keep_alive = keep_alive and not self.waiting_for_100_continue

    @property
    def other_status(self) -> int | None:
        """What the client gets of an app that has ended, if it is not what the app has sent; 0 if it gets nothing."""
        if self._refused or self._head == []:
            return self._refused
        return 0 if self.transport.is_closing() else 500

    async def run_asgi(self, app: Any) -> None:
        """Call the app; answer for one that fails, or that returns without a whole answer."""
        try:
            result = await app(self.scope, self.receive, self.send)
        except BaseException as error:
            self._failed("Exception in ASGI application", error)
        else:
            if result is not None:
                self._failed(f"ASGI callable should return None, but returned {result!r}.")
            elif not self.response_complete and not self.disconnected:
                what = "completing" if self.response_started else "starting"
                self._failed(f"ASGI callable returned without {what} response.")
        finally:
            self._protocol.tasks.discard(self.task)
            self.on_response, self._protocol = _nothing, None  # a circle would leave both to the collector

    def refuse(self, status: int, detail: str) -> None:
        """Answer in the app's place, if nothing was sent, and end the connection."""
        if self._head != [] and not self.transport.is_closing():
            request_id = refusals.request_id(self.scope["headers"])
            self.transport.write(refusals.response(status, detail, request_id, method=self.scope["method"]))
            self._head, self._refused = [], status
        self.transport.close()

    async def receive(self) -> Any:
        """The next of the body, or that there is none any more."""
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self._say_continue()
        if not self.disconnected and not self.response_complete:
            self.flow.resume_reading()
            await self.message_event.wait()
            self.message_event.clear()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        body, self.body = self.body, bytearray()
        return {"type": "http.request", "body": bytes(body), "more_body": self.more_body}

    async def send(self, message: Any) -> None:
        """Take the answer's head, or a part of its body. Raises RuntimeError for a message out of order."""
        kind, exchange = message["type"], self.exchange
        headers: list[Header] | None = []
        if kind == BODY:
            if exchange is not None:
                exchange.add_body(message)
        elif kind == START and not self.response_started:
            headers = self._headers(message, exchange)
            if headers is None:
                await exchange.refuse(self.send)  # type: ignore[union-attr]  # it was the exchange that said so
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if self.response_started:
            self._go_on(kind, message)
        else:
            self._start(kind, message, headers or [])

    def _headers(self, message: Any, exchange: Exchange | None) -> list[Header] | None:
        """The headers of the answer, with its id; None for a stream too many."""
        if exchange is None or exchange.status:
            return [*message.get("headers", ())]
        headers = exchange.begin_answer(START, message)
        if headers is not None:
            headers.append(exchange.header)
        return headers

    def _start(self, kind: str, message: Any, headers: list[Header]) -> None:
        """Hold the head back."""
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

    def _failed(self, reason: str, error: BaseException | None = None) -> None:
        """End the connection. If nothing was sent the app is answered for: a proxy would take a worker that closes
        without a word for dead, and ask the next one."""
        self._protocol.logger.error(reason, exc_info=error)
        self.refuse(500, refusals.FAILED)
        if not self.response_started:
            self.response_started = self.response_complete = True
            self.message_event.set()
            self.on_response()

    def _say_continue(self) -> None:
        self.transport.write(CONTINUE)
        self.waiting_for_100_continue = False
        self.keep_alive = self._keep_alive and CLOSE not in self._protocol.server_state.default_headers

    def _log(self, status: int) -> None:
        """For gunicorn's `--access-logfile`."""
        scope = self.scope
        words = get_client_addr(scope), scope["method"], get_path_with_query_string(scope), scope["http_version"]
        self._protocol.access_logger.info('%s - "%s %s HTTP/%s" %d', *words, status)


def _nothing() -> None:
    pass
