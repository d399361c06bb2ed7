"""A chat client that works like the page: it reconnects, resumes from its last id, and resends unconfirmed messages.

Each message has a key, so that it may be sent again: the server keeps it once.
"""

import json
import time
from typing import Any

import gevent  # type: ignore[import-untyped]
from websocket import WebSocket, WebSocketException

from loadtest._socket import Closed, close, connect, receive
from loadtest._talk import ALL, Speaker, TalkListener, talk
from loadtest._user import ScheduledUser
from loadtest._waiting import NOT_DELIVERED, Said, Waiting

NAME = "/ws/chat"
PAUSE_SECONDS = 1.0  # before the next attempt, after one that failed


class Chat:
    """One user's chat: the messages sent and received, over any number of connections."""

    def __init__(self, user: ScheduledUser) -> None:
        self._user = user
        self._speaker, self._listener = Speaker(), TalkListener(NAME)
        self._waiting = Waiting()
        self._socket: WebSocket | None = None
        self._last = ""  # id
        self._reader = gevent.spawn(self._run)

    def say(self, intended: float) -> str:
        """Send a message as soon as there is a connection, and return its key."""
        key = self._speaker.key()
        said = Said(intended, json.dumps({"user": "load", "message": key, "key": key}))
        self._waiting.add(key, said)
        for overdue in self._waiting.overdue():
            self._fired(overdue, NOT_DELIVERED)
        self._send([said.text])
        return key

    def end(self) -> None:
        """Wait until each message sent has come back or is lost, count the lost ones, and disconnect."""
        for lost in self._waiting.settle():
            self._fired(lost, NOT_DELIVERED)
        self._reader.kill()
        if self._socket is not None:
            close(self._socket)
        talk.end(self._speaker, self._listener)

    def _run(self) -> None:
        """Stay connected and read all messages: the server closes a client that does not read as too slow."""
        restarted: float | None = None
        while True:
            try:
                self._connect(restarted)
                self._read()
            except Closed as closed:
                restarted = time.perf_counter() if closed.restarts else None
                if restarted is None:
                    self._failed(str(closed))
            except (OSError, WebSocketException, ValueError) as error:
                restarted = None
                self._failed(f"{type(error).__name__}: {error}")
            self._socket = None
            gevent.sleep(0 if restarted else PAUSE_SECONDS)

    def _connect(self, restarted: float | None) -> None:
        if self._last == ALL:
            self._listener.resume()
        socket = connect(self._user.host or "", NAME + (f"?after={self._last}" if self._last else ""))
        socket.settimeout(None)  # a quiet chat is no failure
        if restarted is not None:
            self._user.fired("WS", f"{NAME} came back", restarted, restarted, 0)
        self._socket = socket
        self._send(self._waiting.texts())

    def _send(self, texts: list[str]) -> None:
        """Send texts if there is a connection; if it fails, the reader reconnects and resends what is unconfirmed."""
        try:
            for text in texts:
                if self._socket is not None:
                    self._socket.send(text)
        except (OSError, WebSocketException):
            pass

    def _read(self) -> None:
        assert self._socket is not None
        while True:
            message = json.loads(receive(self._socket))
            match message.get("type"):
                case None:
                    self._hear(message)
                case "hello":
                    self._listener.join()
                    self._last = self._last or ALL  # from now on a reconnect has something to resume from
                case "reset":
                    self._failed("messages that were missed are no longer kept")
                case "bus" if message.get("available"):
                    self._send(self._waiting.texts())
                case "error" if not message.get("again"):
                    self._settled(self._waiting.oldest(), f"refused: {message.get('detail')}")

    def _hear(self, message: dict[str, Any]) -> None:
        key, self._last = message.get("key", ""), message.get("id", "")
        if fault := self._listener.hear(key):
            self._failed(fault)
        self._settled(key)

    def _settled(self, key: str, failure: str | None = None) -> None:
        if said := self._waiting.back(key):
            if failure is None:
                self._speaker.confirm(key, said.at)
            self._fired(said, failure)

    def _fired(self, said: Said, failure: str | None) -> None:
        self._user.fired("WS", NAME, said.intended, said.began, len(said.text), failure)

    def _failed(self, reason: str) -> None:
        now = time.perf_counter()
        self._user.fired("WS", f"{NAME} connection", now, now, 0, reason)
