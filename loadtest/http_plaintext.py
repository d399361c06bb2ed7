"""The smallest answer: what server, proxy and parser cost."""

from locust import task

import _here  # noqa: F401
from loadtest._user import ScheduledUser, body_is

ANSWER = body_is(b"Hello, World!")


class PlaintextUser(ScheduledUser):
    in_mix = False
    probe = "/plaintext"

    @task
    def plaintext(self) -> None:
        self.ask("GET", "/plaintext", ANSWER)
