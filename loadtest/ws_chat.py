"""Chat: what a user says must come back to him by the same road as to everybody, in one order."""

import json
import time
from random import getrandbits

import gevent  # type: ignore[import-untyped]
from gevent.event import Event  # type: ignore[import-untyped]
from locust import task
from websocket import WebSocket, WebSocketException

from loadtest._socket import TIMEOUT_SECONDS, Closed, close, connect, receive
from loadtest._user import ScheduledUser

NAME = "/ws/chat"


class ChatUser(ScheduledUser):
    """Each message reaches every user: with n of them a server sends n times what it receives."""

    rate = 0.2
    weight = 2

    def on_start(self) -> None:
        self.socket: WebSocket | None = None
        self.connected = Event()
        self.waiting: dict[str, tuple[float, float]] = {}  # message: its intended and its real start
        self.reader = gevent.spawn(self.read)
        super().on_start()

    @task
    def say(self) -> None:
        text, sent = f"{getrandbits(96):024x}", time.perf_counter()
        self.expire(sent)
        self.connected.wait(TIMEOUT_SECONDS)  # a page keeps what is typed until it is connected again
        if self.socket is None:
            return self.fired("WS", NAME, self.schedule.due, sent, 0, "not connected")
        self.waiting[text] = (self.schedule.due, sent)
        try:
            self.socket.send(json.dumps({"user": "load", "message": text}))
        except (OSError, WebSocketException) as error:
            del self.waiting[text]
            self.fired("WS", NAME, self.schedule.due, sent, 0, f"{type(error).__name__}: {error}")

    def read(self) -> None:
        """Take all messages, in a greenlet of its own: who does not read is closed as too slow."""
        while True:
            try:
                self.socket = connect(self.host or "", NAME)
                self.socket.settimeout(None)  # a quiet chat is no failure
                self.connected.set()
                while True:
                    self.take(json.loads(receive(self.socket)))
            except (OSError, WebSocketException, Closed):
                self.socket = None
                self.connected.clear()
                gevent.sleep(1)

    def take(self, message: dict[str, str]) -> None:
        starts = self.waiting.pop(message.get("message", ""), None)
        if starts is not None:
            self.fired("WS", NAME, *starts, len(message["message"]))

    def expire(self, now: float) -> None:
        for text, (intended, sent) in list(self.waiting.items()):
            if now - sent > TIMEOUT_SECONDS:
                del self.waiting[text]
                self.fired("WS", NAME, intended, sent, 0, f"not delivered in {TIMEOUT_SECONDS:g} s")

    def on_stop(self) -> None:
        super().on_stop()
        self.reader.kill()
        if self.socket is not None:
            close(self.socket)
