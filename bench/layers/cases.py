"""The rows of the table: what is served, the three calls, and the goals of the design's section 6."""

from dataclasses import dataclass

from bench.load.wrk import Call

APPS = "bench.layers.apps"
BASE = "bare app"
AGAIN = "bare app again (noise)"

CALLS = {
    "GET /api/users": (Call("/api/users"), "list_users"),
    "GET /api/users/2": (Call("/api/users/2"), "get_user"),
    "POST /api/users": (Call("/api/users", "POST", '{"name":"Edsger"}'), "create_user"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One app under test."""

    name: str
    app: str


TOOLKIT = (
    Row("our router and JSON", f"{APPS}.toolkit:routed"),
    Row("+ all middleware", f"{APPS}.toolkit:application"),
    Row("+ access record and request id written", f"{APPS}.toolkit:recorded"),
)
PEERS = tuple(
    Row(f"{name}, the same middleware", f"{APPS}.{module}:application")
    for name, module in (
        ("Starlette", "starlette_app"),
        ("FastAPI", "fastapi_app"),
        ("BlackSheep", "blacksheep_app"),
        ("Falcon", "falcon_app"),
        ("Litestar", "litestar_app"),
    )
)
PLAIN_PEERS = tuple(Row(row.name.replace("the same", "no"), row.app.replace(":application", ":plain")) for row in PEERS)

GOALS: dict[str, dict[str, float | None]] = {
    "GET /api/users": {},
    "GET /api/users/2": {TOOLKIT[1].name: 0.85, TOOLKIT[2].name: 0.70},
    "POST /api/users": {TOOLKIT[1].name: 0.78},
    "nginx": {"unix, keep-alive": 0.80},
}


def rows(call: str, *, plain: bool) -> list[Row]:
    """All rows of one call; the base sends the very bytes of that call's answer."""
    bare = f"{APPS}.bare:{CALLS[call][1]}"
    return [Row(BASE, bare), *TOOLKIT, *PEERS, *(PLAIN_PEERS if plain else ()), Row(AGAIN, bare)]
