"""The ladder of time-outs: each must be longer than the one that it waits for."""

from itertools import pairwise

from slipway.environment import Environment, SettingError

# nginx/nginx.conf.template has the same values; a test compares them.
NGINX_UPSTREAM_KEEPALIVE = 1.0  # seconds that nginx keeps an idle connection to a worker
PROXY_READ_TIMEOUT = 60  # seconds that nginx waits for an answer, or for more of it
QUIET_SECONDS = 20  # between two pings on an idle websocket; event streams send something every 15 s

Rung = tuple[str, float]


def check(
    *, drain: float, graceful_timeout: int, timeout: int, keepalive: int, lame_duck: float, stop_grace_period: float
) -> None:
    """Raise SettingError, naming both settings, for times in the wrong order. All are in seconds."""
    nginx: Rung = ("nginx's upstream keepalive_timeout", NGINX_UPSTREAM_KEEPALIVE)
    ladder: list[Rung] = [
        nginx,
        ("DRAIN_SECONDS", drain),
        ("uvicorn's graceful shutdown (GRACEFUL_TIMEOUT - 2)", graceful_timeout - 2),
        ("GRACEFUL_TIMEOUT", graceful_timeout),
        ("TIMEOUT", timeout),
    ]
    stop: Rung = ("2 x GRACEFUL_TIMEOUT + 2 + LAME_DUCK_SECONDS", 2 * graceful_timeout + 2 + lame_duck)
    pairs = [*pairwise(ladder), (nginx, ("KEEPALIVE", keepalive)), (stop, ("STOP_GRACE_PERIOD", stop_grace_period))]
    for (lower_name, lower), (upper_name, upper) in pairs:
        if lower >= upper:
            raise SettingError(upper_name, f"{upper:g}", f"more than {lower_name}, which is {lower:g}")


def read_timeout(env: Environment) -> int:
    """Return PROXY_READ_TIMEOUT, nginx's setting, checked here too: a lower one would cut every quiet connection."""
    allowed = f"a whole number of seconds, more than {QUIET_SECONDS} (a websocket's ping) and at most 86400"
    return env.integer("PROXY_READ_TIMEOUT", PROXY_READ_TIMEOUT, QUIET_SECONDS + 1, 86_400, allowed)
