"""Chat: each message must reach every user, once and in one order, over reconnects too."""

from locust import task

import _here  # noqa: F401
from loadtest._chat import Chat
from loadtest._user import ScheduledUser


class ChatUser(ScheduledUser):
    """Each message goes to every user: with n users, the server sends n times what it receives."""

    rate = 0.2
    weight = 2

    def on_start(self) -> None:
        self.chat = Chat(self)
        super().on_start()

    @task
    def say(self) -> None:
        self.chat.say(self.schedule.due)

    def on_stop(self) -> None:
        super().on_stop()
        self.chat.end()
