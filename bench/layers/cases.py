"""The cases of the table: the apps, the three requests, and the goals."""

from dataclasses import dataclass

from bench.load.wrk import RequestTemplate

APPS = "bench.layers.apps"
BASE = "bare app"
AGAIN = "bare app again (noise)"

REQUESTS = {
    "GET /api/users": (RequestTemplate("/api/users"), "list_users"),
    "GET /api/users/2": (RequestTemplate("/api/users/2"), "get_user"),
    "POST /api/users": (RequestTemplate("/api/users", "POST", '{"name":"Edsger"}'), "create_user"),
}


@dataclass(frozen=True, slots=True)
class Case:
    """One app under test."""

    name: str
    app: str


TOOLKIT = (
    Case("our router and JSON", f"{APPS}.toolkit:routed"),
    Case("+ all middleware", f"{APPS}.toolkit:application"),
    Case("watched: + access record, metrics and request id", f"{APPS}.toolkit:watched"),
)
PEERS = tuple(
    Case(f"{name}, the same middleware", f"{APPS}.{module}:application")
    for name, module in (
        ("Starlette", "starlette_app"),
        ("FastAPI", "fastapi_app"),
        ("BlackSheep", "blacksheep_app"),
        ("Falcon", "falcon_app"),
        ("Litestar", "litestar_app"),
    )
)
PLAIN_PEERS = tuple(
    Case(case.name.replace("the same", "no"), case.app.replace(":application", ":plain")) for case in PEERS
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
    return [Case(BASE, bare), *TOOLKIT, *PEERS, *(PLAIN_PEERS if plain else ()), Case(AGAIN, bare)]
