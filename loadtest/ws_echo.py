"""Websocket echo: text and binary come back unchanged."""

import time
from random import choice, randbytes

from locust import task
from websocket import ABNF, WebSocket, WebSocketException

from loadtest._socket import Closed, close, connect, receive
from loadtest._user import ScheduledUser

SIZE = 100  # bytes


class EchoUser(ScheduledUser):
    rate = 2.0
    weight = 3
    socket: WebSocket | None = None

    @task
    def echo(self) -> None:
        binary = choice((True, False))
        data = randbytes(SIZE) if binary else randbytes(SIZE // 2).hex()
        sent = time.perf_counter()
        try:
            if self.socket is None:
                self.socket = connect(self.host or "", "/ws/echo")
                self.fired("WS", "/ws/echo connect", sent, sent, 0)
                sent = time.perf_counter()
            self.socket.send(data, ABNF.OPCODE_BINARY if binary else ABNF.OPCODE_TEXT)
            failure = None if receive(self.socket) == data else "another message came back"
        except (OSError, WebSocketException, Closed) as error:
            failure, self.socket = f"{type(error).__name__}: {error}", None
        self.fired("WS", "/ws/echo", self.schedule.due, sent, SIZE, failure)

    def on_stop(self) -> None:
        super().on_stop()
        if self.socket is not None:
            close(self.socket)
