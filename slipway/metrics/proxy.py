"""Figures of the nginx before the workers: from ngx_http_stub_status_module, on a unix socket beside theirs.

nginx/status.conf.template configures the other end. nginx answers it by itself, even if the workers are blocked.
"""

import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

SECONDS: Final = 0.5  # for each step of the exchange; without an answer the scrape goes on
MOST_BYTES: Final = 4_096
REQUEST: Final = b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n"
NUMBERS: Final = re.compile(
    r"Active connections: (\d+) \nserver accepts handled requests\n (\d+) (\d+) (\d+) \n"
    r"Reading: (\d+) Writing: (\d+) Waiting: (\d+)"
)
UP: Final = "nginx_up"
# Name, type and help, in the order of the numbers.
FAMILIES: Final = (
    ("nginx_connections_active", GaugeMetricFamily, "Clients' connections that are open, those that wait included."),
    ("nginx_connections_accepted", CounterMetricFamily, "Connections that clients have made."),
    ("nginx_connections_handled", CounterMetricFamily, "Those of them that nginx had room for."),
    ("nginx_http_requests", CounterMetricFamily, "Requests, those that nginx has refused included."),
    ("nginx_connections_reading", GaugeMetricFamily, "Connections whose request's head arrives."),
    ("nginx_connections_writing", GaugeMetricFamily, "Requests that are read, wait for the app, or are answered."),
    ("nginx_connections_waiting", GaugeMetricFamily, "Connections that are kept without a request."),
)
EXAMPLE: Final = {UP: 1.0, **{name: 0.0 for name, _, _ in FAMILIES}}


def read(path: str) -> Mapping[str, float]:
    """Return nginx's figures by name; only `nginx_up`, as 0, if nginx does not answer."""
    with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SECONDS)
        connection.connect(path)
        connection.sendall(REQUEST)
        found = NUMBERS.search(_answer(connection))
        if found is not None:
            names = [name for name, _, _ in FAMILIES]
            return {UP: 1.0, **dict(zip(names, map(float, found.groups()), strict=True))}
    return {UP: 0.0}


def _answer(connection: socket.socket) -> str:
    answer = b""
    while len(answer) < MOST_BYTES and (data := connection.recv(MOST_BYTES)):
        answer += data
    return answer.decode("latin-1")


def families(figures: Mapping[str, float]) -> Iterator[Metric]:
    """Yield nginx's families; none where the server listens on a port of its own, without nginx."""
    if UP not in figures:
        return
    yield GaugeMetricFamily(UP, "Whether nginx answers.", value=figures[UP])
    for name, kind, text in FAMILIES:
        if name in figures:
            yield kind(name, text, value=figures[name])
