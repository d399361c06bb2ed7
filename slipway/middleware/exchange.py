"""One request while it runs: its id, its answer's start, and the number of bytes sent."""

import re
from collections.abc import Awaitable, Iterable
from random import getrandbits
from time import perf_counter

from slipway.middleware.counts import REQUEST, STREAM, Counts
from slipway.middleware.problem import OVERLOADED, respond
from slipway.middleware.types import Header, Message, Send

START = "http.response.start"
CLOSE = "websocket.close"
STARTS = frozenset({START, "websocket.http.response.start", "websocket.accept", CLOSE})
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class StreamRefused(OSError):
    """The worker has as many streams as it may have: the client was answered 503, and the app may end."""


class Exchange:
    """What is known of one request, from what its app sends through it; `scope["state"]["exchange"]` holds it."""

    __slots__ = ("_counts", "_send", "kind", "request_id", "sent", "started", "status")

    def __init__(self, kind: str, headers: Iterable[Header], send: Send, counts: Counts) -> None:
        self._send = send
        self._counts = counts
        self.kind = kind  # what it is counted as
        self.request_id = _request_id(headers)
        self.started = perf_counter()
        self.status = 0  # 0 until the response has started; 101 for an accepted websocket, 403 for one closed before
        self.sent = 0  # bytes of body
        counts.total += 1
        counts.open[kind] += 1

    def send(self, message: Message) -> Awaitable[None]:
        """Pass a message on to the server."""
        kind = message["type"]
        if kind == "http.response.body":
            self.sent += len(message.get("body", b""))
            if self.kind == REQUEST and message.get("more_body", False):
                self._counts.sending.add(self)
        elif kind in STARTS and not self.status:
            return self._start(kind, message)
        return self._send(message)

    def become_stream(self) -> bool:
        """Count it as a stream from now on; False while there is no room for one more."""
        open_now = self._counts.open
        if open_now[STREAM] >= self._counts.limits[STREAM]:
            return False
        open_now[self.kind] -= 1
        open_now[STREAM] += 1
        self.kind = STREAM
        return True

    def end(self) -> None:
        """Take it off the counts, and forget the server's `send`.

        That knows the scope, which knows us: the circle would leave each request to the collector.
        """
        counts = self._counts
        counts.open[self.kind] -= 1
        if counts.sending:
            counts.sending.discard(self)
        self._send = _too_late

    @property
    def refused(self) -> bool:
        """Whether it was a stream too many, and is answered."""
        return self._send is _refused

    def _start(self, kind: str, message: Message) -> Awaitable[None]:
        if kind == CLOSE:
            self.status = 403  # what the server answers to the handshake
            return self._send(message)
        self.status = message.get("status", 101)
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
        headers.append((b"x-request-id", self.request_id.encode()))
        return self._send({**message, "headers": headers})  # a copy: an app may send the same message again

    async def _refuse(self) -> None:
        send, self._send = self._send, _refused
        self.status, self.sent = 503, await respond(send, 503, OVERLOADED, self.request_id)
        raise StreamRefused


async def _too_late(message: Message) -> None:
    raise RuntimeError(f"{message['type']!r} is sent, but the app has returned")


async def _refused(message: Message) -> None:
    raise StreamRefused


def _request_id(headers: Iterable[Header]) -> str:
    """The caller's `x-request-id` if it is a sane one, else one of ours."""
    for name, value in headers:
        if name == b"x-request-id":
            if (len(value) == 32 and value.isalnum()) or REQUEST_ID.fullmatch(value):  # nginx's own first
                return value.decode()
            break
    return f"{getrandbits(128):032x}"


def _is_event_stream(content_type: bytes) -> bool:
    return content_type.strip()[:17].lower() == b"text/event-stream"
