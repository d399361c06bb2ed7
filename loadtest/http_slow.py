"""99 fast requests beside one that blocks its worker for 50 ms. The fast ones' latency is the figure to look at."""

from random import random

from locust import task

import _here  # noqa: F401
from loadtest._user import ScheduledUser, body_is

FAST, SLOW = body_is(b'{"ms":0}'), body_is(b'{"ms":50}')
SLOW_SHARE = 0.01


class SlowBesideFastUser(ScheduledUser):
    in_mix = False
    probe = "/cpu?ms=0"

    @task
    def either(self) -> None:
        if random() < SLOW_SHARE:
            self.ask("GET", "/cpu?ms=50", SLOW, name="slow")
        else:
            self.ask("GET", "/cpu?ms=0", FAST, name="fast")
