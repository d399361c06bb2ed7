"""A handler that computes for 5 ms."""

from locust import task

import _here  # noqa: F401
from loadtest._user import ScheduledUser, body_is

ANSWER = body_is(b'{"ms":5}')


class CpuUser(ScheduledUser):
    in_mix = False
    rate = 1.0
    probe = "/cpu?ms=0"

    @task
    def cpu_5_ms(self) -> None:
        self.ask("GET", "/cpu?ms=5", ANSWER)
