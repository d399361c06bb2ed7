"""The settings of the middleware, checked; `.env.example` is the manual."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from slipway.environment import Environment, SettingError
from slipway.project import served

PATH = re.compile(r"(?:/[!-~]*)?")


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """What one worker may have open, and what it records."""

    max_requests_in_flight: int
    max_streams: int
    max_websockets: int
    access_log: bool
    ready_path: str
    health_paths: frozenset[str]
    """The paths that are always answered and never recorded."""

    @classmethod
    def from_environment(cls, variables: Mapping[str, str] | None = None) -> "GuardSettings":
        """Read and check every setting; raise SettingError, naming the variable, for a wrong one."""
        env = Environment(variables)
        project = served(variables)
        ready_path = env.text("READY_PATH", project.ready_path)
        if not PATH.fullmatch(ready_path) or {"?", "#"} & {*ready_path}:
            raise SettingError("READY_PATH", ready_path, "a path like /readyz")
        return cls(
            max_requests_in_flight=env.integer("MAX_REQUESTS_IN_FLIGHT", 2_000, 1, 1_000_000),
            max_streams=env.integer("MAX_STREAMS", 10_000, 1, 1_000_000),
            max_websockets=env.integer("MAX_WEBSOCKETS", 10_000, 1, 1_000_000),
            access_log=env.flag("ACCESS_LOG", True),
            ready_path=ready_path,
            health_paths=frozenset({*project.health_paths, ready_path} - {""}),
        )
