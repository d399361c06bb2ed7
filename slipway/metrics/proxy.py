"""What the nginx before the workers says of itself: ngx_http_stub_status_module, on a unix socket beside theirs.

nginx/status.conf.template has the other end. nginx serves it by itself, so it is answered whatever the workers do.
"""

import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

SECONDS: Final = 0.5  # for an answer: a scrape goes on without it
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
    """Its figures by name; `nginx_up` alone, as 0, where it does not answer."""
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
    """What is told of it: nothing where there is no nginx of ours, since the server has a port of its own."""
    if UP not in figures:
        return
    yield GaugeMetricFamily(UP, "Whether nginx answers.", value=figures[UP])
    for name, kind, text in FAMILIES:
        if name in figures:
            yield kind(name, text, value=figures[name])
