"""A load that changes over time, in steps or spikes: stages, each with a number of users and a duration."""

import re
from dataclasses import dataclass
from typing import Self

from locust import LoadTestShape

STAGE = re.compile(r"(\d+):(\d+(?:\.\d+)?)(s|m|h|)")
GRAMMAR = "allowed is users:duration, several separated by commas, as in 20:30s,200:10s,20:1m"
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}  # seconds
SPAWN_RATE = 1000.0  # users per second: high, so that a step is immediate


@dataclass(frozen=True)
class Stages:
    """The stages: for each, the number of users and the second at which it ends."""

    stages: tuple[tuple[int, float], ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the stages; raises ValueError for an invalid text."""
        stages, end = [], 0.0
        for part in text.split(","):
            match = STAGE.fullmatch(part.strip())
            if match is None or not float(match[2]):
                raise ValueError(GRAMMAR)
            end += float(match[2]) * UNITS[match[3]]
            stages.append((int(match[1]), end))
        return cls(tuple(stages))

    @property
    def seconds(self) -> float:
        """The length of all stages together."""
        return self.stages[-1][1]

    def users(self, second: float) -> int | None:
        """Return the number of users at that second; None after the end."""
        return next((users for users, end in self.stages if second < end), None)


class Shape(LoadTestShape):
    """Stages as a load shape of locust; abstract, so that locust never picks it up by itself."""

    abstract = True
    use_common_options = True

    def __init__(self, stages: Stages) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._stages = stages

    def tick(self) -> tuple[int, float] | None:
        """Return the number of users and how many may start per second, or None at the end."""
        users = self._stages.users(self.get_run_time())  # type: ignore[no-untyped-call]
        return None if users is None else (users, SPAWN_RATE)
