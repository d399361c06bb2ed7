"""The toolkit of `app/asgi` with the app's middleware, in the order of `app.main`; users in memory, no database."""

from app.asgi.middleware import Errors
from app.asgi.origins import Origins
from app.asgi.request import Request
from app.asgi.response import Response
from app.asgi.routing import Route, Router
from app.asgi.standalone import Standalone
from app.asgi.types import ASGIApp, Receive, Scope, Send
from app.handlers.users import no_such_user, user_id, user_name

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


ROUTES = [
    Route("GET", "/api/users", list_users),
    Route("POST", "/api/users", create_user),
    Route("GET", "/api/users/{id}", get_user),
]


def stack(app: ASGIApp) -> ASGIApp:
    """All of the app's own middleware around any ASGI app."""
    return Standalone(Origins(Errors(app), frozenset()))


def duties(app: ASGIApp) -> ASGIApp:
    """Return `stack(app)` as a coroutine function, by which uvicorn tells ASGI 3 from ASGI 2."""
    inner = stack(app)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await inner(scope, receive, send)

    return application


def router() -> ASGIApp:
    return Router(ROUTES, max_body_bytes=1 << 20)


routed = router()  # no middleware
application = duties(router())
