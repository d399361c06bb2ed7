"""The probes of `make doctor` for the stack itself: its addresses, readiness, limits and private paths."""

import http.client
import socket
import time
from collections.abc import Callable
from contextlib import closing, suppress
from urllib.parse import urlsplit

from slipway.ops import readiness, wait
from slipway.ops.settings import StackSettings

# The setting, the expected and the observed behaviour, and whether they agree; None: it could not be observed.
Finding = tuple[str, str, str, bool | None]
Probe = Callable[[StackSettings], Finding]

SLACK_SECONDS = 3.0


def _ask(settings: StackSettings, path: str = "") -> tuple[int, object]:
    """Return the answer of a path, requested as the stack's own checks do: with a known host, and as a proxy if set."""
    host = settings.ready_host
    return wait.get(f"{settings.url}{path}", host=host, proxied=settings.edge.proxy_protocol)


def _connection(settings: StackSettings) -> wait.Connection:
    parts = urlsplit(settings.url)
    return wait.Connection(parts.hostname or "", parts.port, 5, proxied=settings.edge.proxy_protocol)


def _address(settings: StackSettings) -> Finding:
    wanted = f"{settings.host}:{settings.http_port}"
    code, reason = _ask(settings)
    return "HTTP_PORT", wanted, f"answers {code}" if code else str(reason), bool(code)


def _host(settings: StackSettings) -> Finding:
    """Check that other addresses of this machine are closed if HOST is loopback."""
    other = _outer_address()
    if not other or settings.host not in ("127.0.0.1", "::1"):
        return "HOST", settings.host, "other addresses were not asked", None
    with socket.socket() as probe:
        probe.settimeout(2)
        closed = probe.connect_ex((other, settings.http_port)) != 0
    return "HOST", settings.host, f"{other} {'refuses' if closed else 'answers'}", closed


def _outer_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # TEST-NET-1; nothing is sent
        return str(probe.getsockname()[0])
    return ""


def _ready(settings: StackSettings) -> Finding:
    code, _ = readiness.ask(settings, settings.url)
    wanted = f"{settings.ready_path} answers 200" if settings.ready_path else "/ answers below 500"
    return "READY_PATH", wanted, str(code), readiness.counts(settings, code)


def _body(settings: StackSettings) -> Finding:
    """Check that a body that is one byte too long is refused before it is sent."""
    with closing(_connection(settings)) as connection:
        try:
            connection.putrequest("POST", "/", skip_host=bool(settings.ready_host))
            if settings.ready_host:
                connection.putheader("Host", settings.ready_host)
            connection.putheader("Content-Length", str(settings.max_body_bytes + 1))
            connection.endheaders()
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            return "MAX_BODY_BYTES", f"413 above {settings.max_body_bytes}", str(error), False
    return "MAX_BODY_BYTES", f"413 above {settings.max_body_bytes}", str(status), status == 413


def _slow(settings: StackSettings) -> Finding:
    """Check that nginx closes the connection of a client that stops within its headers."""
    seconds = settings.edge.header_timeout
    wanted = f"half a head is closed after {seconds:g} s"
    try:
        with closing(_connection(settings)) as client:
            client.connect()
            client.sock.sendall(b"GET / HTTP/1.1\r\nHost:")
            client.sock.settimeout(seconds + SLACK_SECONDS)
            began = time.monotonic()
            with suppress(ConnectionError):
                while client.sock.recv(4096):
                    pass
    except TimeoutError:
        return "HEADER_TIMEOUT", wanted, "still open", False
    except OSError as error:
        return "HEADER_TIMEOUT", wanted, str(error), False
    took = time.monotonic() - began
    return "HEADER_TIMEOUT", wanted, f"closed after {took:.1f} s", abs(took - seconds) <= SLACK_SECONDS


def _private(settings: StackSettings) -> Finding:
    codes = {path: _ask(settings, path)[0] for path in settings.private_paths}
    seen = ", ".join(f"{path} {code}" for path, code in codes.items()) or "none"
    return "private_paths", "404 in public", seen, all(code == 404 for code in codes.values()) if codes else None


def _bench(settings: StackSettings) -> Finding:
    wanted = settings.environment.get("BENCH_ENDPOINTS", "0") in ("1", "true", "yes", "on")
    code, _ = _ask(settings, f"{settings.edge.root_path}/plaintext")
    agrees = (code == 200) == wanted if settings.project.baseline else None
    return "BENCH_ENDPOINTS", "200 at /plaintext" if wanted else "no /plaintext", str(code), agrees


def _baseline(settings: StackSettings) -> Finding:
    code, _ = wait.get(settings.baseline_url)
    seen = f"{settings.baseline_port} answers {code}" if code else f"{settings.baseline_port} is closed"
    return "BASELINE", "on" if settings.baseline else "off", seen, bool(code) if settings.baseline else None


PROBES: list[Probe] = [
    _address,
    _host,
    _ready,
    _body,
    _slow,
    _private,
    _bench,
    _baseline,
]
