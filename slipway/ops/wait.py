"""Waiting for a condition with a limit, and requests and ports to wait for."""

import errno
import http.client
import json
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

POLL_SECONDS = 0.05


def until(true: Callable[[], object], seconds: float) -> bool:
    """Poll until the condition is true; return False when the time is over."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


class Connection(http.client.HTTPConnection):
    """A client's connection; with `proxied` it begins with a PROXY protocol line that names no other client.

    https://www.haproxy.org/download/1.8/doc/proxy-protocol.txt section 2.1
    """

    def __init__(self, host: str, port: int | None, timeout: float, *, proxied: bool = False) -> None:
        super().__init__(host, port, timeout=timeout)
        self._preface = b"PROXY UNKNOWN\r\n" if proxied else b""

    def connect(self) -> None:
        super().connect()
        self.sock.sendall(self._preface)


def get(url: str, timeout: float = 2.0, host: str = "", *, proxied: bool = False) -> tuple[int, Any]:
    """Return the status and the body of a GET, decoded if it is JSON; (0, the reason) if nothing answers.

    `host` replaces the URL's host in the Host header.
    """
    parts = urlsplit(url)
    connection = Connection(parts.hostname or "", parts.port, timeout, proxied=proxied)
    try:
        connection.request("GET", parts.path, headers={"Host": host} if host else {})
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
    """Whether a server can listen on this address."""
    return not obstacle(host, port)


def obstacle(host: str, port: int) -> str:
    """Return why no server can listen on this address, and what to do; empty if one can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except PermissionError:
        return "needs root; choose one of 1024 or above"
    except (OSError, UnicodeError) as error:  # UnicodeError: not a valid host name
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            return "is in use by another program; stop that one, or choose another port"
        reason = getattr(error, "strerror", None) or error
        return f"can't be bound ({reason}); HOST must be an address of this machine"
    return ""
