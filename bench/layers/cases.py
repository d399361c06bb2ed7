"""The cases of the table: the apps, the three requests, and the goals."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.load.wrk import RequestTemplate

APPS = "bench.layers.apps"
BASE = "bare app, the stock worker"
AGAIN = "bare app again (noise)"

REQUESTS = {
    "GET /api/users": (RequestTemplate("/api/users"), "list_users"),
    "GET /api/users/2": (RequestTemplate("/api/users/2"), "get_user"),
    "POST /api/users": (RequestTemplate("/api/users", "POST", '{"name":"Edsger"}'), "create_user"),
}


@dataclass(frozen=True, slots=True)
class Case:
    """One app under test, on the stock worker or, with `settings`, as this stack serves it."""

    name: str
    app: str
    settings: Mapping[str, str] | None = None


# Cases with settings include the server's own part (ids, counts, limits, time-outs, metrics), without or with records.
QUIET, WATCHED = {"ACCESS_LOG": "off"}, {"ACCESS_LOG": "on"}
TOOLKIT = (
    Case("our router and JSON, the stock worker", f"{APPS}.toolkit:routed"),
    Case("our router and JSON, all middleware, our worker", f"{APPS}.toolkit:application", QUIET),
    Case("watched: the same with the access record", f"{APPS}.toolkit:application", WATCHED),
)
PEERS = tuple(
    Case(f"{name}, the same middleware and worker", f"{APPS}.{module}:application", QUIET)
    for name, module in (
        ("Starlette", "starlette_app"),
        ("FastAPI", "fastapi_app"),
        ("BlackSheep", "blacksheep_app"),
        ("Falcon", "falcon_app"),
        ("Litestar", "litestar_app"),
    )
)
PLAIN_PEERS = tuple(
    Case(f"{case.name.partition(',')[0]}, no middleware, the stock worker", case.app.replace(":application", ":plain"))
    for case in PEERS
)

GOALS: dict[str, dict[str, float | None]] = {
    "GET /api/users": {},
    "GET /api/users/2": {TOOLKIT[1].name: 0.82, TOOLKIT[2].name: 0.70},
    "POST /api/users": {TOOLKIT[1].name: 0.76},
    "nginx": {"unix, keep-alive": 0.77},
}


def cases(request: str, *, plain: bool) -> list[Case]:
    """All cases of one request; the base sends the precomputed bytes of its response."""
    bare = f"{APPS}.bare:{REQUESTS[request][1]}"
    ours = Case("bare app, our worker", bare, QUIET)
    return [Case(BASE, bare), ours, *TOOLKIT, *PEERS, *(PLAIN_PEERS if plain else ()), Case(AGAIN, bare)]
