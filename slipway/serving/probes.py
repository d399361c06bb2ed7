"""Observes on a running server's own sockets whether it behaves as its settings say, for `make doctor`."""

import json
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from slipway.serving import worker_table
from slipway.serving.settings import ServerSettings

SLACK_SECONDS = 3.0  # tolerated difference of a measured time
LONGEST_SECONDS = 100.0  # longer time-outs are not waited for

# The setting, the expected and the observed value, and whether they agree; None: it could not be observed.
Finding = tuple[str, str, str, bool | None]


def findings(settings: ServerSettings, status: dict[str, Any]) -> list[Finding]:
    """Return one finding per observable setting; all probes run at the same time."""
    probes: list[Callable[[ServerSettings, dict[str, Any]], Finding]] = [
        _workers,
        _keepalive,
        _metrics,
        _sockets,
        _taken,
    ]
    with ThreadPoolExecutor(len(probes)) as pool:
        return [*pool.map(lambda probe: probe(settings, status), probes)]


def _workers(settings: ServerSettings, status: dict[str, Any]) -> Finding:
    wanted, serving = int(status["workers"]), len(status["serving"])
    return "WEB_CONCURRENCY", f"{wanted} workers", f"{serving} serve ({status['reason']})", wanted == serving


def _keepalive(settings: ServerSettings, status: dict[str, Any]) -> Finding:
    """The worker closes an idle connection after KEEPALIVE seconds."""
    wanted = float(settings.keepalive)
    expected = f"an idle connection is closed after {wanted:g} s"
    if wanted > LONGEST_SECONDS:
        return "KEEPALIVE", expected, "too long to wait for", None
    with _connected(settings) as connection:
        connection.settimeout(wanted + SLACK_SECONDS)
        path = settings.guard.ready_path or "/"
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        connection.recv(1 << 16)
        began = time.monotonic()
        try:
            while connection.recv(1 << 16):
                began = time.monotonic()
        except TimeoutError:
            return "KEEPALIVE", expected, f"still open after {wanted + SLACK_SECONDS:g} s", False
    took = time.monotonic() - began
    return "KEEPALIVE", expected, f"closed after {took:.1f} s", abs(took - wanted) <= SLACK_SECONDS


def _metrics(settings: ServerSettings, status: dict[str, Any]) -> Finding:
    if not settings.metrics_port:
        return "METRICS_PORT", "off", "off", True
    expected = f"metrics at {settings.metrics_host}:{settings.metrics_port}"
    host = "127.0.0.1" if settings.metrics_host in ("0.0.0.0", "::") else settings.metrics_host
    try:
        with socket.create_connection((host, settings.metrics_port), 3) as connection:
            connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            line = connection.makefile("rb").readline().decode(errors="replace").strip()
    except OSError as error:
        return "METRICS_PORT", expected, f"{error.strerror or error}", False
    return "METRICS_PORT", expected, line, " 200 " in line


def _sockets(settings: ServerSettings, status: dict[str, Any]) -> Finding:
    """Each slot has a listener of its own, which accepts connections."""
    open_now = 0
    for slot in range(settings.slots):
        try:
            _connected(settings, slot).close()
            open_now += 1
        except OSError:
            continue
    name = "SOCKET_DIR" if settings.socket_dir else "SLOT_PORT"
    return name, f"{settings.slots} listeners", f"{open_now} answer", open_now == settings.slots


def _taken(settings: ServerSettings, status: dict[str, Any]) -> Finding:
    """No worker has taken more than twice the requests that it may: it serves on until it is replaced."""
    most = settings.max_requests + settings.max_requests_jitter
    counts = [row["requests"] for row in worker_table.read(Path(status["table"]))]
    if not settings.max_requests:
        return "MAX_REQUESTS", "never replaced", f"up to {max(counts, default=0)} requests taken", True
    return "MAX_REQUESTS", f"at most {most}", f"up to {max(counts, default=0)}", max(counts, default=0) <= 2 * most


def _connected(settings: ServerSettings, slot: int = 0) -> socket.socket:
    if settings.socket_dir is None:
        return socket.create_connection((settings.slot_host, settings.slot_port + slot), 5)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(5)
    connection.connect(settings.socket_paths()[slot])
    return connection


def show(settings: ServerSettings, status: dict[str, Any]) -> None:
    """Print the findings as JSON."""
    print(json.dumps(findings(settings, status)))
