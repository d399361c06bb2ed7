"""The compared workloads, each with the outcome predicted before it was measured."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bench.load.idle import KEEP_ALIVE, WEBSOCKET
from bench.load.job import RequestKind

HELLO = "Hello, World!"
UPLOAD = "x" * 65_536
IDLE = 500  # idle connections beside the load


@dataclass(frozen=True, slots=True)
class Workload:
    """One workload. `figure` names the kind of request whose latency is compared."""

    name: str
    title: str
    kinds: Sequence[RequestKind]
    figure: str
    user: str  # the equivalent locust class
    prediction: str  # "asgi", "wsgi" or "tie"
    reason: str
    peak_connections: int = 32
    asgi_only: bool = False
    own: float = 0.0  # milliseconds of the work itself, added to the objective
    most: float = math.inf  # requests per second; upper bound of the search
    rate: float = 0.0  # requests per second; 0: a fraction of the weakest arm's sustainable rate
    waiting: str = ""  # the kind of the IDLE connections held beside the load

    @property
    def by_locust(self) -> bool:
        """Whether locust generates the load: websockets and event streams."""
        return not self.kinds

    @property
    def locust_figure(self) -> str:
        """The name of `figure` in locust's results."""
        return f"GET {self.kinds[0].path}" if self.kinds else self.figure


def _one(name: str, path: str, expected: str, method: str = "GET", body: str = "") -> tuple[RequestKind, ...]:
    return (RequestKind(name, path, expected, method, body),)


# Waiting comes last: requests left in a listen queue by a closed load are still served after their clients have gone.
HTTP = (
    Workload(
        "plaintext", "plain text", _one("plaintext", "/plaintext", HELLO), "plaintext", "PlaintextUser", "asgi",
        "a parser in C and an event loop against a parser in Python; the interface matters little",
    ),
    Workload(
        "json", "small JSON", _one("json", "/json", '{"message":"Hello, World!"}'), "json", "JsonUser", "asgi",
        "as plain text",
    ),
    Workload(
        "database", "one row", _one("database", "/db", '{"user":null}'), "database", "DatabaseUser", "wsgi",
        "a switch between threads for each await costs more than the blocking call itself",
    ),
    Workload(
        "cpu", "computing 5 ms", _one("cpu", "/cpu?ms=5", '{"ms":5}'), "cpu", "CpuUser", "tie",
        "the processors are the limit under either scheduling", 8, own=5,
    ),
    Workload(
        "mixed", "99 % fast, 1 % blocking 50 ms",
        (
            RequestKind("fast", "/cpu?ms=0", '{"ms":0}', share=0.99),
            RequestKind("slow", "/cpu?ms=50", '{"ms":50}', share=0.01),
        ),
        "fast", "SlowBesideFastUser", "wsgi",
        "a blocking handler stops its whole event loop, but only one thread of many", most=1_000,
    ),
    Workload(
        "upload", "64 KiB up and down", _one("upload", "/echo", UPLOAD, "POST", UPLOAD), "upload", "UploadUser", "asgi",
        "nginx buffers the body for both",
    ),
    Workload(
        "wait", "waiting 100 ms", _one("wait", "/wait?ms=100", '{"ms":100}'), "wait", "WaitUser", "asgi",
        "threads are exhausted at workers x threads / 0.1 s, an event loop is not", 64, own=100,
    ),
)  # fmt: skip
# Plain text at a rate that every arm sustains, beside many idle connections: measures their effect on latency and
# their memory.
IDLING = (
    Workload(
        "idle-websockets", f"plain text beside {IDLE} idle websockets", _one("plaintext", "/plaintext", HELLO),
        "plaintext", "PlaintextUser", "asgi", "WSGI has none", asgi_only=True, rate=400, waiting=WEBSOCKET,
    ),
    Workload(
        "idle", f"plain text beside {IDLE} idle connections", _one("plaintext", "/plaintext", HELLO), "plaintext",
        "PlaintextUser", "tie", "idle connections stay in nginx, unseen by the app server", rate=400,
        waiting=KEEP_ALIVE,
    ),
)  # fmt: skip
SOCKETS = (
    Workload(
        "echo", "websocket echo", (), "WS /ws/echo", "EchoUser", "asgi", "WSGI has none", asgi_only=True, rate=200,
    ),
    Workload(
        "events", "server-sent events", (), "SSE /events", "EventsUser", "asgi", "WSGI would need a thread for each",
        asgi_only=True, rate=40,
    ),
)  # fmt: skip
ALL = (*HTTP, *IDLING, *SOCKETS)
# The workload of an app without a WSGI twin, which lacks the endpoints of the others.
OWN = Workload("own", "GET / of the app", _one("own", "/", ""), "own", "", "tie", "it is compared with itself")
BY_NAME = {workload.name: workload for workload in (*ALL, OWN)}


LOWEST = 5.0  # requests per second of an open load


def marked(kind: RequestKind, run: int, answers: Mapping[str, str] | None = None) -> RequestKind:
    """The same request with the run's number in the query, which identifies the run in nginx's log.

    `answers` holds expected responses that are known only once the database exists.
    """
    mark = f"{'&' if '?' in kind.path else '?'}run={run}"
    return replace(kind, path=kind.path + mark, expected=(answers or {}).get(kind.name, kind.expected))
