"""Server-sent events: a stream per user, and a message now and then whose way to the stream is measured.

The stream is read with the standard library: locust's `iter_lines` waits for 1024 bytes and delivers late.
"""

import json
import time
from http.client import HTTPConnection, HTTPException, HTTPResponse
from random import getrandbits
from urllib.parse import urlsplit

from locust import task
from websocket import WebSocketException

from loadtest._socket import TIMEOUT_SECONDS, close, connect
from loadtest._user import ScheduledUser

NAME = "/events"
EVENTS_AT_MOST = 1_000  # that pass by before one's own message


class EventsUser(ScheduledUser):
    """Opens the stream, says something by the chat, and reads until it comes."""

    rate = 0.2
    weight = 1

    @task
    def listen(self) -> None:
        sent, text = time.perf_counter(), f"{getrandbits(96):024x}"
        address = urlsplit(self.host or "")
        connection = HTTPConnection(address.hostname or "", address.port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("GET", NAME, headers={"Accept": "text/event-stream"})
            stream = connection.getresponse()
            failure = first_event(stream)
            self.fired("SSE", f"{NAME} first event", self.schedule.due, sent, 0, failure)
            if failure is None:
                self.deliver(stream, text)
        except (OSError, HTTPException, WebSocketException) as error:
            self.fired("SSE", NAME, self.schedule.due, sent, 0, f"{type(error).__name__}: {error}")
        finally:
            connection.close()

    def deliver(self, stream: HTTPResponse, text: str) -> None:
        chat = connect(self.host or "", "/ws/chat")
        try:
            sent = time.perf_counter()
            chat.send(json.dumps({"user": "load", "message": text}))
            for _ in range(EVENTS_AT_MOST):
                if text in event(stream):
                    return self.fired("SSE", NAME, sent, sent, len(text))
            self.fired("SSE", NAME, sent, sent, 0, "the message did not come")
        finally:
            close(chat)


def first_event(stream: HTTPResponse) -> str | None:
    """What is wrong with the beginning of the stream."""
    if stream.status != 200 or not (stream.getheader("content-type") or "").startswith("text/event-stream"):
        return f"status {stream.status}, {stream.getheader('content-type')}"
    found = event(stream)
    return None if found.startswith("event: hello\n") else f"the first event is {found[:60]!r}"


def event(stream: HTTPResponse) -> str:
    """The lines of one event; raises ConnectionError at the end of the stream."""
    lines = []
    while (line := stream.readline()) not in (b"\n", b"\r\n"):
        if not line:
            raise ConnectionError("the stream has ended")
        lines.append(line.decode())
    return "".join(lines)
