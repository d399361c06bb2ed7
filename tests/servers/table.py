"""The known behaviour of each server, which docs/servers.md shows and the tests beside this file measure."""

from dataclasses import dataclass, fields
from pathlib import Path

from slipway.ops.settings import ROOT

NO_CLOSE = "no close frame"
PAGE = ROOT / "docs" / "servers.md"


@dataclass(frozen=True)
class Behaviour:
    """The behaviour of one server: each field is a row of the page's table, under the name in ROWS."""

    http2: str = "no"
    lifespan: str = "yes"
    state: str = "yes"
    refusal: str = "404"
    deflate: str = "no"
    on_stop_request: str = "answered"
    on_stop_websocket: str = "1012"
    on_hup: str = "replaces its workers"
    on_kill: str = "replaced"
    exit_code: str = "0"


ROWS = {
    "http2": "HTTP/2 in clear text",
    "lifespan": "lifespan",
    "state": '`scope["state"]`',
    "refusal": "websocket refused by the app with 404",
    "deflate": "websocket compression",
    "on_stop_request": "SIGTERM: a request of 1 s",
    "on_stop_websocket": "SIGTERM: a websocket's close code",
    "on_hup": "SIGHUP",
    "on_kill": "a worker that is killed",
    "exit_code": "exit code after SIGTERM",
}

# Differences from the default, the first server's behaviour; tests/servers/test_servers.py has the commands.
SERVERS = {
    "gunicorn with UvicornWorker": Behaviour(),
    "uvicorn": Behaviour(deflate="yes"),
    "hypercorn": Behaviour(
        http2="yes",
        deflate="yes",
        on_stop_request="cut",
        on_stop_websocket=NO_CLOSE,
        on_kill="ends the server",
    ),
    "daphne": Behaviour(
        lifespan="no",
        state="no",
        refusal="403",
        on_stop_request="cut",
        on_stop_websocket=NO_CLOSE,
        on_hup="ends it",
        on_kill="is the server itself",
    ),
    "granian": Behaviour(http2="yes", on_stop_websocket=NO_CLOSE),
    "gunicorn with asgi": Behaviour(refusal="403", on_stop_websocket=NO_CLOSE),
}


def rendered(servers: dict[str, Behaviour]) -> str:
    """Return the table in the page's form."""
    lines = [["", *servers], ["---"] * (len(servers) + 1)]
    for field in fields(Behaviour):
        lines.append([ROWS[field.name], *(getattr(behaviour, field.name) for behaviour in servers.values())])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def shown(page: Path = PAGE) -> str:
    """Return the page's first table, which is this one."""
    text = page.read_text()
    start = text.index("|")
    return text[start : text.index("\n\n", start) + 1]
