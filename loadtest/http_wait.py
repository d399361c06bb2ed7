"""A handler that waits for 100 ms, as most handlers wait for a database or another service."""

from locust import task

import _here  # noqa: F401
from loadtest._user import ScheduledUser, body_is

ANSWER = body_is(b'{"ms":100}')


class WaitUser(ScheduledUser):
    in_mix = False
    rate = 5.0
    probe = "/wait?ms=0"

    @task
    def wait_100_ms(self) -> None:
        self.ask("GET", "/wait?ms=100", ANSWER)
