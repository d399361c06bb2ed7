"""Server-sent events: one stream per user, and the latency of chat messages that arrive on it."""

from locust import task

import _here  # noqa: F401
from loadtest._chat import Chat
from loadtest._socket import TIMEOUT_SECONDS
from loadtest._stream import NAME, EventReader
from loadtest._user import ScheduledUser
from loadtest._waiting import NOT_DELIVERED, Said, Waiting


class EventsUser(ScheduledUser):
    """Keeps a stream open, sends messages to the chat, and measures how long they take to arrive on the stream."""

    rate = 0.2
    weight = 1

    def on_start(self) -> None:
        self.waiting = Waiting()
        self.stream = EventReader(self, self.heard)
        self.chat = Chat(self)
        super().on_start()

    @task
    def listen(self) -> None:
        self.stream.ready.wait(TIMEOUT_SECONDS)  # messages sent before it is open do not arrive on it
        said = Said(self.schedule.due, "")
        self.waiting.add(self.chat.say(said.intended), said)
        for overdue in self.waiting.overdue():
            self.arrived(overdue, NOT_DELIVERED)

    def heard(self, key: str) -> None:
        if said := self.waiting.back(key):
            self.arrived(said)

    def arrived(self, said: Said, failure: str | None = None) -> None:
        self.fired("SSE", NAME, said.intended, said.began, 0, failure)

    def on_stop(self) -> None:
        super().on_stop()
        self.chat.end()
        for lost in self.waiting.settle():
            self.arrived(lost, NOT_DELIVERED)
        self.stream.end()
