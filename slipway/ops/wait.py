"""Waiting for something to become true, with an end."""

import http.client
import json
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

POLL_SECONDS = 0.05


def until(true: Callable[[], object], seconds: float) -> bool:
    """Poll until it is true; False when the time is over."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def until_ready(url: str, seconds: float) -> bool:
    """Poll /readyz until it answers 200."""
    return until(lambda: get(f"{url}/readyz")[0] == 200, seconds)


def get(url: str, timeout: float = 2.0) -> tuple[int, Any]:
    """The status and the JSON body of a GET; (0, the reason) when nothing answers."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request("GET", parts.path)
        response = connection.getresponse()
        body = response.read()
        return response.status, json.loads(body or b"null")
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error)
    except ValueError:
        return response.status, body.decode(errors="replace")[:200]
    finally:
        connection.close()


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True
