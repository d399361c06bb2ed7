"""A check of the stack before the load begins."""

import urllib.error
import urllib.request

from locust.env import Environment

from loadtest._host import HOST

PROBE_SECONDS = 5.0


def obstacle(environment: Environment) -> str | None:
    """Return why the test can't run (no host, no answer, or an app without the users' endpoints), or None."""
    for user in environment.user_classes:
        host = environment.host or user.host
        if not host:
            return f"No host: add --host {HOST}"
        if problem := _probe(host.rstrip("/") + getattr(user, "probe", "/livez")):
            return problem
    return None


def _probe(url: str) -> str | None:
    try:
        urllib.request.urlopen(url, timeout=PROBE_SECONDS).close()
    except urllib.error.HTTPError as error:
        hint = " The stack must run with BENCH_ENDPOINTS=1 for this user." if error.code == 404 else ""
        return f"{url} answers {error.code}, not 200.{hint}"
    except (OSError, ValueError) as error:
        return f"{url} does not answer ({getattr(error, 'reason', error)}). Is the stack up? `make up` starts it."
    return None
