"""256 KiB up and the same bytes back."""

from random import randbytes

from locust import task

import _here  # noqa: F401
from loadtest._user import ScheduledUser, body_is

SIZE = 256 * 1024


class UploadUser(ScheduledUser):
    in_mix = False
    rate = 2.0
    probe = "/plaintext"

    @task
    def upload(self) -> None:
        body = randbytes(SIZE)
        self.ask("POST", "/echo", body_is(body), data=body, headers={"Content-Type": "application/octet-stream"})
