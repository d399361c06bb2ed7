"""Websocket echo: text and binary come back unchanged."""

import time
from random import choice, randbytes

from locust import task
from websocket import ABNF, WebSocket, WebSocketException

import _here  # noqa: F401
from loadtest._socket import Closed, close, connect, receive, send
from loadtest._user import ScheduledUser

SIZE = 100  # bytes
NAME = "/ws/echo"
COMEBACKS = 5  # reconnects in one task


class EchoUser(ScheduledUser):
    """Keeps one websocket open; if the server restarts, the user reconnects and sends the same message again."""

    rate = 2.0
    weight = 3
    socket: WebSocket | None = None

    @task
    def echo(self) -> None:
        binary = choice((True, False))
        data = randbytes(SIZE) if binary else randbytes(SIZE // 2).hex()
        for _ in range(COMEBACKS):
            sent = time.perf_counter()
            try:
                failure = None if self.exchange(data, binary) == data else "another message came back"
            except Closed as closed:
                self.socket = None
                if closed.restarts:
                    continue
                failure = str(closed)
            except (OSError, WebSocketException) as error:
                failure, self.socket = f"{type(error).__name__}: {error}", None
            return self.fired("WS", NAME, self.schedule.due, sent, SIZE, failure)
        self.fired("WS", NAME, self.schedule.due, sent, SIZE, f"restarted {COMEBACKS} times in one exchange")

    def exchange(self, data: str | bytes, binary: bool) -> str | bytes:
        """Send a message and return the next one received."""
        socket = self.socket or self.open()
        send(socket, data, ABNF.OPCODE_BINARY if binary else ABNF.OPCODE_TEXT)
        return receive(socket)

    def open(self) -> WebSocket:
        sent = time.perf_counter()
        self.socket = connect(self.host or "", NAME)
        self.fired("WS", f"{NAME} {'came back' if self.opened else 'connect'}", sent, sent, 0)
        self.opened = True
        return self.socket

    opened = False

    def on_stop(self) -> None:
        super().on_stop()
        if self.socket is not None:
            close(self.socket)
