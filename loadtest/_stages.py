"""A load that changes over time: so many users for so long, one stage after the other. Steps and spikes alike."""

import re
from dataclasses import dataclass
from typing import Self

from locust import LoadTestShape

STAGE = re.compile(r"(\d+):(\d+(?:\.\d+)?)(s|m|h|)")
GRAMMAR = "allowed is users:duration, several separated by commas, as in 20:30s,200:10s,20:1m"
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}  # seconds
SPAWN_RATE = 1000.0  # users per second: a step is one


@dataclass(frozen=True)
class Stages:
    """Users and the second at which that stage ends."""

    stages: tuple[tuple[int, float], ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError for a text that is none."""
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
        """The length of the whole."""
        return self.stages[-1][1]

    def users(self, second: float) -> int | None:
        """How many there are at that time; None after the end."""
        return next((users for users, end in self.stages if second < end), None)


class Shape(LoadTestShape):
    """Stages as locust takes them. It is abstract so that locust never takes it by itself."""

    abstract = True
    use_common_options = True

    def __init__(self, stages: Stages) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._stages = stages

    def tick(self) -> tuple[int, float] | None:
        """Users and how many may start in a second, or the end."""
        users = self._stages.users(self.get_run_time())  # type: ignore[no-untyped-call]
        return None if users is None else (users, SPAWN_RATE)
