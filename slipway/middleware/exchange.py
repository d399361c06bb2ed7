"""One request while it runs: its answer's start, and the number of bytes in and out."""

from collections.abc import Iterable
from time import perf_counter
from typing import NoReturn

from slipway.middleware.counts import REQUEST, STREAM, Counts
from slipway.middleware.problem import OVERLOADED, respond
from slipway.middleware.trace import RequestIds
from slipway.middleware.types import Header, Message, Receive, Send

START = "http.response.start"
REQUEST_ID, TRACEPARENT, LENGTH, ENCODING = b"x-request-id", b"traceparent", b"content-length", b"transfer-encoding"
LOOKED_AT = frozenset({REQUEST_ID, TRACEPARENT, LENGTH, ENCODING})  # of a request's headers


class StreamRefused(OSError):
    """The worker has as many streams as it may have: the client was answered 503, and the app may end."""


class Exchange(RequestIds):
    """What is known of one request, from what its app sends; `scope["state"]["exchange"]` holds it.

    It knows neither the server's `send` nor the scope: a circle would leave each request to the collector.
    """

    __slots__ = (
        "_counts",
        "counts_received",
        "first",
        "kind",
        "over",
        "received",
        "refused",
        "sent",
        "started",
        "status",
    )

    def __init__(self, kind: str, headers: Iterable[Header], counts: Counts) -> None:
        self._counts = counts
        self.kind = kind  # what it is counted as
        self.started = perf_counter()
        self.first = 0.0  # when the first of the answer was sent
        self.status = 0  # 0 until the response has started; 101 for an accepted websocket, 403 for one closed before
        self.sent = 0  # bytes of body
        self.received = 0
        # Where no length is declared, what arrives is counted, which costs a coroutine for each message.
        self.counts_received = False
        self.refused = False  # whether it was a stream too many, and is answered
        self.over = False  # whether the app has returned
        self.traceparent = self._own = given = None
        for name, value in headers:
            if name in LOOKED_AT:
                if name == REQUEST_ID:
                    given = value
                elif name == TRACEPARENT:
                    self.traceparent = value
                elif name == LENGTH:
                    self.received = int(value) if value.isdigit() else 0
                else:
                    self.counts_received = True
        self.identify(given)

    def receiver(self, receive: Receive) -> Receive:
        """Count what the app receives of a body."""

        async def counted() -> Message:
            message = await receive()
            self.received += len(message.get("body") or b"")
            return message

        return counted

    def take(self, size: int) -> None:
        """Count a websocket's message of so many bytes that is there for the app."""
        self.received += size
        self._counts.board.took(size)

    def give(self, size: int) -> None:
        """Count one that the app sends."""
        self.sent += size
        self._counts.board.gave(size)

    def begin_answer(self, kind: str, message: Message) -> list[Header] | None:
        """Note the status; return the headers without an id of the app's, or None for a stream too many."""
        self.status = message.get("status", 101)
        if kind != START:
            self.first = perf_counter()
        headers, named = [*(message.get("headers") or ())], False
        for name, value in headers:
            if len(name) != 12:  # neither of the two that count
                continue
            if name == b"content-type" or (name := name.lower()) == b"content-type":
                if len(value) >= 17 and kind == START and _is_event_stream(value) and not self.become_stream():
                    return None
            elif name == b"x-request-id":
                named = True
        if named:  # the id of the answer is that of the records
            headers = [header for header in headers if header[0].lower() != b"x-request-id"]
        return headers

    def add_body(self, message: Message) -> None:
        """Count a part of the answer's body."""
        self.sent += len(message.get("body", b""))
        if not self.first:
            self.first = perf_counter()  # the server sends the head with it
        if self.kind == REQUEST and message.get("more_body", False):
            self._counts.sending.add(self)

    def become_stream(self) -> bool:
        """Count it as a stream from now on; False while there is no room for one more."""
        running, streams = self._counts.running[self.kind], self._counts.running[STREAM]
        if len(streams) >= self._counts.limits[STREAM]:
            return False
        streams[self] = running.pop(self)
        self.kind = STREAM
        return True

    async def refuse(self, send: Send) -> NoReturn:
        """Answer a stream too many, and tell its app by raising StreamRefused."""
        self.status, self.refused = 503, True
        self.sent = await respond(send, 503, OVERLOADED, self.request_id)
        raise StreamRefused


def _is_event_stream(content_type: bytes) -> bool:
    return content_type.strip()[:17].lower() == b"text/event-stream"
