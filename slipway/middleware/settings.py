"""The settings of the middleware, checked; `.env.example` is the manual."""

from collections.abc import Mapping
from dataclasses import dataclass

from slipway.environment import Environment
from slipway.paths import health_paths, ready_path, root_path
from slipway.project import served

USUAL = "/readyz"  # for an app without a known path; if it has no such route, old and new code both answer 404


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """The limits, paths and records of one worker."""

    max_requests_in_flight: int
    max_streams: int
    max_websockets: int
    max_headers: int
    request_timeout: int
    """Seconds; 0: no limit."""
    access_log: bool
    root_path: str
    """The prefix below which the app is served; empty for none."""
    log_query: bool
    ready_path: str
    """The path that answers 200 when the app can serve; empty where none is known."""
    takeover_path: str
    """The path requested of a new worker's app before it takes over; empty: none."""
    health_paths: frozenset[str]
    """The paths that are exempt from the limit of open requests and never recorded."""

    @classmethod
    def from_environment(cls, variables: Mapping[str, str] | None = None) -> "GuardSettings":
        """Read and check every setting; raise SettingError, naming the variable, for a wrong one."""
        env = Environment(variables)
        project = served(variables)
        path = ready_path(env, project)
        return cls(
            max_requests_in_flight=env.integer("MAX_REQUESTS_IN_FLIGHT", 2_000, 1, 1_000_000),
            max_streams=env.integer("MAX_STREAMS", 10_000, 1, 1_000_000),
            max_websockets=env.integer("MAX_WEBSOCKETS", 10_000, 1, 1_000_000),
            max_headers=env.integer("MAX_HEADERS", 100, 10, 100_000),
            request_timeout=_request_timeout(env),
            access_log=env.flag("ACCESS_LOG", True),
            root_path=root_path(env),
            log_query=env.flag("LOG_QUERY", False),
            ready_path=path,
            takeover_path="" if env.text("READY_PATH") == "none" else path or USUAL,
            health_paths=frozenset(health_paths(env, project)),
        )


def _request_timeout(env: Environment) -> int:
    """Return a time below PROXY_READ_TIMEOUT, or nginx would answer first and the handler run on without a client."""
    most = env.integer("PROXY_READ_TIMEOUT", 60, 1, 86_400) - 1
    allowed = f"a whole number of seconds from 1 to {most}, which is less than PROXY_READ_TIMEOUT, or 0 for no limit"
    return env.integer("REQUEST_TIMEOUT", max(1, most - 4), 0, most, allowed)
