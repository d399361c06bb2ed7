"""One row from the database."""

from typing import Any

from locust import task

import _here  # noqa: F401
from loadtest._user import ScheduledUser


class DatabaseUser(ScheduledUser):
    in_mix = False
    probe = "/db"

    @task
    def row(self) -> None:
        self.ask("GET", "/db", first_user)


def first_user(response: Any) -> str | None:
    """Check that an answer is `{"user": ...}` with a whole user, or null while there is none."""
    if response.status_code != 200:
        return f"status {response.status_code}, not 200"
    try:
        user = response.json()["user"]
    except (ValueError, KeyError, TypeError):
        return f"no user in {(response.content or b'')[:60]!r}"
    return None if user is None or set(user) == {"id", "name", "created_at"} else f"wrong user {user!r}"
