"""How an answer goes out: its head waits for the first of its body, so that an app which fails can be answered for."""

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from slipway.serving import refusals
from slipway.serving.closing import Closing

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class OneWrite:
    """A transport that writes a response's head together with the first of its body.

    Stock behaviour that this answers: two system calls for each response, and a worker that is killed between them has
    sent a head without its body, which the proxy can't ask for again: 3 of 31,000 GETs under 132 kills. A server need
    not send the head any sooner: https://asgi.readthedocs.io/en/latest/specs/www.html#response-start-send-event
    """

    __slots__ = ("_head", "_refused", "_scope", "_transport")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._transport: Closing = cycle.transport  # type: ignore[assignment]
        self._scope = cycle.scope
        self._head: bytes | None = None
        self._refused: int | None = None  # the status that was sent in the app's place

    @property
    def other_status(self) -> int | None:
        """What the client gets of an app that has ended, if it is not what the app has sent; 0 if it gets nothing."""
        if self._refused or self._head == b"":
            return self._refused
        return 0 if self._transport.is_closing() else 500

    def write(self, data: bytes) -> None:
        """The first one is the head: uvicorn writes it whole."""
        if self._head is None:
            self._head = data
        elif self._head:
            # Not writelines, which uvloop puts off to the end of the loop's turn: that is 4 % fewer requests.
            self._transport.write(self._head + data)
            self._head = b""
        else:
            self._transport.write(data)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        """End the connection. If nothing was sent the app has failed: a proxy would take a worker that closes without
        a word for dead, and ask the next one."""
        self.refuse(500, refusals.FAILED)

    def refuse(self, status: int, detail: str) -> None:
        """Answer in the app's place, if nothing was sent, and end the connection."""
        if self._head != b"" and not self._transport.is_closing():
            request_id = refusals.request_id(self._scope["headers"])
            self._transport.write(refusals.response(status, detail, request_id, method=self._scope["method"]))
            self._head, self._refused = b"", status
        self._transport.close()


class Exceptional(OneWrite):
    """The same for HEAD, after whose head nothing comes, and for a client that waits for `100 Continue`."""

    __slots__ = ("_cycle", "_keep_alive", "_on_response", "_state")

    def __init__(self, cycle: RequestResponseCycle, state: ServerState) -> None:
        super().__init__(cycle)
        self._cycle = cycle
        self._state = state
        self._keep_alive = cycle.keep_alive
        self._on_response = cycle.on_response
        cycle.on_response = self._complete
        if cycle.waiting_for_100_continue:
            # A client that has its answer before it was told to go on may leave the body out: what comes next on the
            # connection could be either.
            cycle.keep_alive = False

    def write(self, data: bytes) -> None:
        if data == CONTINUE:
            self._transport.write(data)
            self._cycle.keep_alive = self._keep_alive and (b"connection", b"close") not in self._state.default_headers
        else:
            super().write(data)

    def close(self) -> None:
        if self._cycle.response_complete:
            self._flush()
        super().close()

    def _complete(self) -> None:
        self._flush()
        self._on_response()

    def _flush(self) -> None:
        if self._head:
            self._transport.write(self._head)
            self._head = b""


class Cycle(RequestResponseCycle):
    """A request and its answer, with uvicorn's own answer to a failure replaced by ours."""

    async def send_500_response(self) -> None:
        """Called when the app has failed before it began to answer."""
        self.response_started = True
        self.transport.close()  # OneWrite's
        self.response_complete = True
        self.message_event.set()
        self.on_response()
