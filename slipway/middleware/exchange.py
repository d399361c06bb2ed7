"""One request while it runs: its answer's start, and the number of bytes in and out."""

from collections.abc import Awaitable, Iterable
from time import perf_counter

from slipway.middleware.counts import REQUEST, STREAM, Counts
from slipway.middleware.problem import OVERLOADED, respond
from slipway.middleware.trace import RequestIds
from slipway.middleware.types import Header, Message, Receive, Send

START = "http.response.start"
BODY = "http.response.body"
CLOSE = "websocket.close"
REQUEST_ID, TRACEPARENT, LENGTH, ENCODING = b"x-request-id", b"traceparent", b"content-length", b"transfer-encoding"
LOOKED_AT = frozenset({REQUEST_ID, TRACEPARENT, LENGTH, ENCODING})  # of a request's headers
STARTS = frozenset({START, "websocket.http.response.start", "websocket.accept"})


class StreamRefused(OSError):
    """The worker has as many streams as it may have: the client was answered 503, and the app may end."""


class Exchange(RequestIds):
    """What is known of one request, from what its app sends through it; `scope["state"]["exchange"]` holds it."""

    __slots__ = (
        "_counts",
        "_send",
        "counts_received",
        "first",
        "kind",
        "received",
        "sent",
        "started",
        "status",
    )

    def __init__(self, kind: str, headers: Iterable[Header], send: Send, counts: Counts) -> None:
        self._send = send
        self._counts = counts
        self.kind = kind  # what it is counted as
        self.started = perf_counter()
        self.first = 0.0  # when the first of the answer was sent
        self.status = 0  # 0 until the response has started; 101 for an accepted websocket, 403 for one closed before
        self.sent = 0  # bytes of body
        self.received = 0
        # Where no length is declared, what arrives is counted, which costs a coroutine for each message.
        self.counts_received = False
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

    def send(self, message: Message) -> Awaitable[None]:
        """Pass a message on to the server."""
        kind = message["type"]
        if kind == BODY:
            self.sent += len(message.get("body", b""))
            if not self.first:
                self.first = perf_counter()  # the server sends the head with it
            if self.kind == REQUEST and message.get("more_body", False):
                self._counts.sending.add(self)
        elif kind in STARTS and not self.status:
            return self._start(kind, message)
        elif kind == "websocket.send":
            size = _size(message)
            self.sent += size
            self._counts.board.gave(size)
        elif kind == CLOSE and not self.status:
            self.status = 403  # what the server answers to the handshake
        return self._send(message)

    def become_stream(self) -> bool:
        """Count it as a stream from now on; False while there is no room for one more."""
        running, streams = self._counts.running[self.kind], self._counts.running[STREAM]
        if len(streams) >= self._counts.limits[STREAM]:
            return False
        streams[self] = running.pop(self)
        self.kind = STREAM
        return True

    def end(self) -> None:
        """Forget the server's `send`.

        That knows the scope, which knows us: the circle would leave each request to the collector.
        """
        self._send = _too_late

    @property
    def refused(self) -> bool:
        """Whether it was a stream too many, and is answered."""
        return self._send is _refused

    def _start(self, kind: str, message: Message) -> Awaitable[None]:
        self.status = message.get("status", 101)
        if kind != START:
            self.first = perf_counter()
        headers, named = [*(message.get("headers") or ())], False
        for name, value in headers:
            if len(name) != 12:  # neither of the two that count
                continue
            if name == b"content-type" or (name := name.lower()) == b"content-type":
                if len(value) >= 17 and kind == START and _is_event_stream(value) and not self.become_stream():
                    return self._refuse()
            elif name == b"x-request-id":
                named = True
        if named:  # the id of the answer is that of the records
            headers = [header for header in headers if header[0].lower() != b"x-request-id"]
        headers.append(self.header)
        message = dict(message)  # an app may send the same one again
        message["headers"] = headers
        return self._send(message)

    async def _refuse(self) -> None:
        send, self._send = self._send, _refused
        self.status, self.sent = 503, await respond(send, 503, OVERLOADED, self.request_id)
        raise StreamRefused


async def _too_late(message: Message) -> None:
    raise RuntimeError(f"{message['type']!r} is sent, but the app has returned")


async def _refused(message: Message) -> None:
    raise StreamRefused


def _size(message: Message) -> int:
    """Bytes of a websocket's message."""
    text = message.get("text")
    if text is None:
        return len(message.get("bytes") or b"")
    return len(text) if text.isascii() else len(text.encode(errors="replace"))


def _is_event_stream(content_type: bytes) -> bool:
    return content_type.strip()[:17].lower() == b"text/event-stream"
