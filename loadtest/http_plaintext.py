"""The smallest answer: it shows the cost of server, proxy and parser."""

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
