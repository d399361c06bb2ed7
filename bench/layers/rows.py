"""The rows of the table: what is served, and the three calls."""

from dataclasses import dataclass

from bench.wrk import Call

APPS = "bench.layers.apps"
BASE = "bare app"

CALLS = {
    "GET /api/users": Call("/api/users"),
    "GET /api/users/2": Call("/api/users/2"),
    "POST /api/users": Call("/api/users", "POST", '{"name":"Edsger"}'),
}
ATTRIBUTES = dict(zip(CALLS, ("list_users", "get_user", "create_user"), strict=True))


@dataclass(frozen=True, slots=True)
class Row:
    """One server under test; `app` is empty for nginx alone."""

    name: str
    app: str
    goals: tuple[float | None, float | None, float | None] = (None, None, None)  # one for each call
    nginx: str = ""  # which of the proxy's ways leads to it


def bare(call: str) -> Row:
    """The base row of a call: the fixed bytes of that call's answer."""
    return Row(BASE, f"{APPS}.bare:{ATTRIBUTES[call]}", (1.0, 1.0, 1.0))


# Goals: section 6 of the design.
TOOLKIT = (
    Row("toolkit, no middleware", f"{APPS}.toolkit:routed"),
    Row("toolkit, all middleware", f"{APPS}.toolkit:application", (None, 0.85, 0.78)),
    Row("toolkit, all middleware and record", f"{APPS}.toolkit:recorded", (None, 0.70, None)),
)
PEERS = tuple(
    Row(f"{name}, same middleware", f"{APPS}.{module}:application")
    for name, module in (
        ("Starlette", "starlette_app"),
        ("FastAPI", "fastapi_app"),
        ("BlackSheep", "blacksheep_app"),
        ("Falcon", "falcon_app"),
        ("Litestar", "litestar_app"),
    )
)
PEERS_PLAIN = tuple(Row(row.name.replace("same", "no"), row.app.replace(":application", ":plain")) for row in PEERS)
