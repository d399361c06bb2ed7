"""The work that is compared, and what was expected of it before anything was measured."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bench.load.job import Kind

HELLO = "Hello, World!"
UPLOAD = "x" * 65_536
IDLE = 500  # connections that only wait
KEEP_ALIVE, WEBSOCKET = "keep-alive connection", "websocket"


@dataclass(frozen=True, slots=True)
class Workload:
    """One sort of work. `figure` names the kind of request whose latency counts."""

    name: str
    title: str
    kinds: Sequence[Kind]
    figure: str
    user: str  # the locust class that does the same
    prediction: str  # "asgi", "wsgi" or "tie"
    reason: str
    peak_connections: int = 32
    asgi_only: bool = False
    own: float = 0.0  # milliseconds that the work itself takes; the objective comes on top
    most: float = math.inf  # requests per second that no arm can reach; the search begins no higher
    rate: float = 0.0  # requests per second; 0: a part of what the weakest arm holds, found by a search
    waiting: str = ""  # the kind of connection of which so many wait beside the load

    @property
    def by_locust(self) -> bool:
        """Whether locust drives it: what is no plain request."""
        return not self.kinds


def _one(name: str, path: str, expected: str, method: str = "GET", body: str = "") -> tuple[Kind, ...]:
    return (Kind(name, path, expected, method, body),)


# Waiting comes last: what a closed load leaves behind in a listen queue is served after its clients have gone.
HTTP = (
    Workload(
        "plaintext", "plain text", _one("plaintext", "/plaintext", HELLO), "plaintext", "PlaintextUser", "asgi",
        "a parser in C and an event loop against a parser in Python; the paradigm has little to do with it",
    ),
    Workload(
        "json", "small JSON", _one("json", "/json", '{"message":"Hello, World!"}'), "json", "JsonUser", "asgi",
        "as plain text",
    ),
    Workload(
        "database", "one row", _one("database", "/db", '{"user":null}'), "database", "DatabaseUser", "wsgi",
        "each await across a thread costs more than the blocking call itself",
    ),
    Workload(
        "cpu", "computing 5 ms", _one("cpu", "/cpu?ms=5", '{"ms":5}'), "cpu", "CpuUser", "tie",
        "the processors are the limit, whoever schedules them", 8, own=5,
    ),
    Workload(
        "mixed", "99 % fast, 1 % blocking 50 ms",
        (Kind("fast", "/cpu?ms=0", '{"ms":0}', share=0.99), Kind("slow", "/cpu?ms=50", '{"ms":50}', share=0.01)),
        "fast", "SlowBesideFastUser", "wsgi",
        "a blocking handler stops everything else that its event loop has, and one thread of many", most=1_000,
    ),
    Workload(
        "upload", "64 KiB up and down", _one("upload", "/echo", UPLOAD, "POST", UPLOAD), "upload", "UploadUser", "asgi",
        "nginx takes the body in before either sees it",
    ),
    Workload(
        "wait", "waiting 100 ms", _one("wait", "/wait?ms=100", '{"ms":100}'), "wait", "WaitUser", "asgi",
        "threads are used up at workers x threads / 0.1 s, an event loop is not", 64, own=100,
    ),
)  # fmt: skip
# The same plain text at a rate that every arm holds. Few requests beside many connections: what counts is whether these
# are in the way, and what each costs in memory.
IDLING = (
    Workload(
        "idle-websockets", f"plain text beside {IDLE} idle websockets", _one("plaintext", "/plaintext", HELLO),
        "plaintext", "PlaintextUser", "asgi", "WSGI has none", asgi_only=True, rate=400, waiting=WEBSOCKET,
    ),
    Workload(
        "idle", f"plain text beside {IDLE} idle connections", _one("plaintext", "/plaintext", HELLO), "plaintext",
        "PlaintextUser", "tie", "they wait in nginx; no app server sees them", rate=400, waiting=KEEP_ALIVE,
    ),
)  # fmt: skip
SOCKETS = (
    Workload(
        "echo", "websocket echo", (), "WS /ws/echo", "EchoUser", "asgi", "WSGI has none", asgi_only=True, rate=200,
    ),
    Workload(
        "events", "server-sent events", (), "SSE /events", "EventsUser", "asgi", "WSGI would hold a thread for each",
        asgi_only=True, rate=40,
    ),
)  # fmt: skip
ALL = (*HTTP, *IDLING, *SOCKETS)
BY_NAME = {workload.name: workload for workload in ALL}


LOWEST = 5.0  # requests per second of an open load


def marked(kind: Kind, run: int, answers: Mapping[str, str] | None = None) -> Kind:
    """The same request with the number of its run in the query, so that nginx's log tells the runs apart.

    `answers` are those that are known only when the stack is up.
    """
    mark = f"{'&' if '?' in kind.path else '?'}run={run}"
    return replace(kind, path=kind.path + mark, expected=(answers or {}).get(kind.name, kind.expected))
