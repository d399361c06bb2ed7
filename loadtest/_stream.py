"""A stream of server-sent events that reconnects and resumes from its last id, as a browser's does.

https://html.spec.whatwg.org/multipage/server-sent-events.html. It is read with the standard library: locust's
`iter_lines` waits for 1024 bytes and delivers late.
"""

import json
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import urlsplit

import gevent  # type: ignore[import-untyped]
from gevent.event import Event as Ready  # type: ignore[import-untyped]

from loadtest._talk import ALL, TalkListener, talk
from loadtest._user import ScheduledUser

NAME = "/events"
SILENCE_SECONDS = 30.0  # twice the server's heartbeat
PAUSE_SECONDS = 1.0  # before the next attempt, after one that failed


@dataclass
class ReceivedEvent:
    """One event, built from the fields of its lines."""

    name: str = "message"
    id: str = ""
    data: list[str] = field(default_factory=list)
    retry: float = 0.0  # seconds

    def take(self, line: str) -> None:
        """Add one line; unused fields are ignored."""
        key, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if key == "data":
            self.data.append(value)
        elif key in ("event", "id"):
            setattr(self, "name" if key == "event" else "id", value)
        elif key == "retry" and value.isdecimal():
            self.retry = int(value) / 1_000


class EventReader:
    """One user's event stream, over any number of connections."""

    def __init__(self, user: ScheduledUser, hear: Callable[[str], None]) -> None:
        self._user, self._hear = user, hear
        self._listener = TalkListener(NAME)
        self._last = ""  # id
        self._pause = 0.0
        self.ready = Ready()  # set once the stream has opened
        self._reader = gevent.spawn(self._run)

    def end(self) -> None:
        """Disconnect."""
        self._reader.kill()
        talk.end(listener=self._listener)

    def _run(self) -> None:
        ended: float | None = None
        while True:
            try:
                self._read(ended)
                ended = time.perf_counter()  # a complete end: the server expects a reconnect
                gevent.sleep(min(self._pause, PAUSE_SECONDS))
            except (OSError, HTTPException, ValueError) as error:
                ended = None
                self._failed(f"{type(error).__name__}: {error}")
                gevent.sleep(PAUSE_SECONDS)

    def _failed(self, reason: str) -> None:
        now = time.perf_counter()
        self._user.fired("SSE", f"{NAME} connection", now, now, 0, reason)

    def _read(self, ended: float | None) -> None:
        """Open the stream and read it to its end."""
        if self._last == ALL:
            self._listener.resume()
        sent = time.perf_counter()
        connection = connect(self._user.host or "")
        try:
            resume = {"Last-Event-ID": self._last} if self._last else {}
            connection.request("GET", NAME, headers={"Accept": "text/event-stream", **resume})
            events = opened(connection)
            self._user.fired("SSE", f"{NAME} first event", sent, sent, 0, first(events))
            if ended is not None:
                self._user.fired("SSE", f"{NAME} came back", ended, ended, 0)
            self._listener.join()
            self._last = self._last or ALL  # from now on a reconnect has something to resume from
            self.ready.set()
            for event in events:
                self._take(event)
        finally:
            with suppress(OSError):
                connection.close()

    def _take(self, event: ReceivedEvent) -> None:
        self._pause = event.retry or self._pause
        self._last = event.id or self._last
        if event.name == "reset":
            self._failed("events that were missed are no longer kept")
        if event.name != "message" or not event.data:
            return
        key = json.loads("\n".join(event.data)).get("key", "")
        if fault := self._listener.hear(key):
            self._failed(fault)
        self._hear(key)


def connect(host: str) -> HTTPConnection:
    """Return a connection to a host; the certificate is not verified, as in FastHttpUser."""
    url = urlsplit(host)
    if url.scheme == "https":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return HTTPSConnection(url.hostname or "", url.port, timeout=SILENCE_SECONDS, context=context)
    return HTTPConnection(url.hostname or "", url.port, timeout=SILENCE_SECONDS)


def opened(connection: HTTPConnection) -> Iterator[ReceivedEvent]:
    """Return the events of an answer; raises ConnectionError if it is not an event stream."""
    response = connection.getresponse()
    kind = response.getheader("content-type") or ""
    if response.status != 200 or not kind.startswith("text/event-stream"):
        raise ConnectionError(f"status {response.status}, {kind}")
    return parsed(response)


def parsed(response: HTTPResponse) -> Iterator[ReceivedEvent]:
    """Yield events until the end of the stream; raises HTTPException if it is cut off."""
    event = ReceivedEvent()
    while line := response.readline():
        text = line.decode().rstrip("\r\n")
        if text:
            event.take(text)
        elif event != ReceivedEvent():
            yield event
            event = ReceivedEvent()


def first(events: Iterator[ReceivedEvent]) -> str | None:
    """Return what is wrong with the beginning of the stream, or None."""
    for event in events:
        if event.name == "hello":
            return None
        if event.name != "message" or event.data:
            return f"the first event is {event.name}"
    return "it ended before its first event"
