"""A small JSON answer."""

from locust import task

import _here  # noqa: F401
from loadtest._user import ScheduledUser, body_is

ANSWER = body_is(b'{"message":"Hello, World!"}')


class JsonUser(ScheduledUser):
    in_mix = False
    probe = "/json"

    @task
    def small(self) -> None:
        self.ask("GET", "/json", ANSWER)
