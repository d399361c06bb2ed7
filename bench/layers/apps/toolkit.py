"""The toolkit of `app/asgi` with all middleware, in the order of `app.main`; users in memory, no database."""

from app.asgi.middleware import Errors
from app.asgi.origins import Origins
from app.asgi.request import Request
from app.asgi.response import Response
from app.asgi.routing import Route, Router
from app.asgi.standalone import Standalone
from app.asgi.types import ASGIApp
from app.handlers.users import no_such_user, user_id, user_name
from slipway.metrics.board import Board, opened
from slipway.middleware.access import AccessRecord
from slipway.middleware.counts import REQUEST, STREAM, WEBSOCKET, Counts
from slipway.middleware.guard import Guard, Record

from .data import USERS, created, page


async def list_users(request: Request) -> Response:
    return Response.json(page())


async def get_user(request: Request) -> Response:
    user = USERS.get(user_id(request.params["id"]))
    if user is None:
        raise no_such_user()
    return Response.json(user)


async def create_user(request: Request) -> Response:
    return Response.json(created(user_name(await request.json())), 201)


HEALTH = frozenset({"/livez", "/readyz", "/healthz"})
ROUTES = [
    Route("GET", "/api/users", list_users),
    Route("POST", "/api/users", create_user),
    Route("GET", "/api/users/{id}", get_user),
]


def duties(app: ASGIApp, record: Record | None = None, board: Board | None = None) -> Guard:
    """All of the app's and the server's middleware around any ASGI app."""
    counts = Counts({REQUEST: 2_000, STREAM: 10_000, WEBSOCKET: 10_000}, board=board or Board())
    return Guard(Standalone(Origins(Errors(app), frozenset())), counts, exempt=HEALTH, record=record)


def router() -> ASGIApp:
    return Router(ROUTES, max_body_bytes=1 << 20)


routed = router()  # no middleware
application = duties(router())
# Watched as in service: the record to the log's writer, and the metrics in memory that an arbiter can read.
watched = duties(router(), AccessRecord(0, quiet=HEALTH), Board(opened()))
