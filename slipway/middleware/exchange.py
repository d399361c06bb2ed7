"""One running request: the start of its answer, and the bytes in and out."""

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
    """The worker is at its limit of streams: the client was answered 503, and the app may end."""


class Exchange(RequestIds):
    """The state of one request, updated with what its app sends; stored as `scope["state"]["exchange"]`.

    It refers to neither the server's `send` nor the scope: a reference cycle would leave each request to the collector.
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
        self.kind = kind  # the kind that it is counted as
        self.started = perf_counter()
        self.first = 0.0  # when the first part of the answer was sent
        self.status = 0  # 0 until the response has started; 101 for an accepted websocket, 403 for one closed before
        self.sent = 0  # bytes of body
        self.received = 0
        # Without a declared length the received bytes are counted, which costs a coroutine for each message.
        self.counts_received = False
        self.refused = False  # whether it was a stream over the limit, and is answered
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
        """Return a `receive` that counts the body's bytes."""

        async def counted() -> Message:
            message = await receive()
            self.received += len(message.get("body") or b"")
            return message

        return counted

    def take(self, size: int) -> None:
        """Count a websocket message of `size` bytes for the app."""
        self.received += size
        self._counts.board.took(size)

    def give(self, size: int) -> None:
        """Count a websocket message of `size` bytes from the app."""
        self.sent += size
        self._counts.board.gave(size)

    def begin_answer(self, kind: str, message: Message) -> list[Header] | None:
        """Note the status; return the headers without the app's x-request-id, or None for a stream over the limit."""
        self.status = message.get("status", 101)
        if kind != START:
            self.first = perf_counter()
        headers, named = [*(message.get("headers") or ())], False
        for name, value in headers:
            if len(name) != 12:  # neither content-type nor x-request-id
                continue
            if name == b"content-type" or (name := name.lower()) == b"content-type":
                if len(value) >= 17 and kind == START and _is_event_stream(value) and not self.become_stream():
                    return None
            elif name == b"x-request-id":
                named = True
        if named:  # the answer has the id of the records
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
        """Answer 503 to a stream over the limit, and raise StreamRefused for its app."""
        self.status, self.refused = 503, True
        self.sent = await respond(send, 503, OVERLOADED, self.request_id)
        raise StreamRefused


def _is_event_stream(content_type: bytes) -> bool:
    return content_type.strip()[:17].lower() == b"text/event-stream"
