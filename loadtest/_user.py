"""The base class of all users: each keeps a schedule, and latency is measured from a request's intended start."""

import time
from collections.abc import Callable
from typing import Any

import gevent  # type: ignore[import-untyped]
from locust import FastHttpUser
from locust.env import Environment

from loadtest import _options, _setup  # noqa: F401 (its hooks are what every run needs)
from loadtest._host import HOST
from loadtest._record import record
from loadtest._schedule import Schedule

Check = Callable[[Any], str | None]  # returns what is wrong with an answer, or None


class ScheduledUser(FastHttpUser):
    """A user that starts its task `rate` times a second, however long answers take; it makes up for late starts."""

    abstract = True
    host = HOST
    rate = 10.0  # tasks per second of each user; `--rate` changes it
    in_mix = True  # part of `locust -f loadtest` with no class named
    probe = "/livez"  # the path that must answer 200 before the load begins
    # else the compression would be measured too
    default_headers = {"Accept-Encoding": "identity"}  # noqa: RUF012 (locust's own attribute)

    def __init__(self, environment: Environment) -> None:
        self.host = (self.host or "").rstrip("/")  # paths begin with a slash
        super().__init__(environment)

    def on_start(self) -> None:
        self.schedule = Schedule(_options.chosen().rate or self.rate, time.perf_counter())
        self.intended: float | None = None
        gevent.sleep(self.schedule.delay(time.perf_counter()))

    def on_stop(self) -> None:
        record.missed += self.schedule.missed(time.perf_counter())

    def wait_time(self) -> float:
        self.schedule.advance()
        return self.schedule.delay(time.perf_counter())

    def ask(
        self, method: str, path: str, check: Check, *, name: str | None = None, follows: bool = False, **more: Any
    ) -> Any:
        """Send a request and check its answer; with `follows`, its intended start is now, the previous answer's end."""
        sent = time.perf_counter()
        intended = sent if follows else self.schedule.due
        with self.client.request(method, path, name=name, catch_response=True, **more) as response:
            ended = time.perf_counter()
            response.request_meta["response_time"] = (ended - intended) * 1_000
            error = response.request_meta["exception"]
            # status 0: no answer; any other status is left to the check, since a 404 may be right
            failure = f"{type(error).__name__}: {error}" if error and not response.status_code else check(response)
            if failure:
                response.failure(failure)
            else:
                response.success()
            record.add(f"{method} {name or path}", intended, sent, ended, failure)
        return None if failure else response

    def fired(
        self, kind: str, name: str, intended: float, sent: float, length: int, failure: str | None = None
    ) -> None:
        """Record and report an exchange over another protocol."""
        ended = time.perf_counter()
        record.add(f"{kind} {name}", intended, sent, ended, failure)
        self.environment.events.request.fire(
            request_type=kind, name=name, response_time=(ended - intended) * 1_000, response_length=length,
            exception=AssertionError(failure) if failure else None, context={},
        )  # fmt: skip


def body_is(expected: bytes, status: int = 200) -> Check:
    """Return a check that the answer has this status and exactly these bytes."""

    def check(response: Any) -> str | None:
        if response.status_code != status:
            return f"status {response.status_code}, not {status}"
        content = response.content or b""
        return None if content == expected else f"wrong body {content[:60]!r}, not {expected[:60]!r}"

    return check


def json_has(status: int, **members: Any) -> Check:
    """Return a check that the answer has this status and is a JSON object with these members."""

    def check(response: Any) -> str | None:
        if response.status_code != status:
            return f"status {response.status_code}, not {status}"
        try:
            data = response.json()
        except ValueError:
            return f"not JSON: {(response.content or b'')[:60]!r}"
        wrong = [
            f"{key} is {data.get(key)!r}, not {value!r}" for key, value in members.items() if data.get(key) != value
        ]
        return ", ".join(wrong) or None

    return check
