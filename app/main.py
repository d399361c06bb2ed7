"""The app: its routes, the order of its middleware, and the resources of a worker.

`application` is the app that a server runs. `simple_app` is the smallest ASGI app, a starting point for your own.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from app.asgi.errors import HTTPError
from app.asgi.lifespan import Lifespan
from app.asgi.middleware import Errors
from app.asgi.origins import Origins
from app.asgi.routing import Route, Router, websocket
from app.asgi.standalone import Standalone
from app.asgi.types import ASGIApp, Receive, Scope, Send
from app.config import AppSettings
from app.handlers import bench, chat, events, health, pages, users
from app.services import import_needed, open_services
from app.services.errors import Unavailable
from app.services.monitor import Counter

ROUTES = [
    Route("GET", "/", pages.home),
    Route("GET", "/chat", pages.chat),
    Route("GET", "/live", pages.live),
    Route("GET", "/static/{name}", pages.static),
    Route("GET", "/favicon.ico", pages.favicon),
    Route("GET", "/robots.txt", pages.robots),
    Route("GET", "/openapi.json", pages.openapi),
    Route("GET", "/version", pages.version),
    Route("GET", "/api/users", users.list_users),
    Route("POST", "/api/users", users.create_user),
    Route("GET", "/api/users/{id}", users.get_user),
    Route("DELETE", "/api/users/{id}", users.delete_user),
    Route("GET", "/events", events.events),
    websocket("/ws/echo", chat.echo),
    websocket("/ws/chat", chat.chat),
    Route("GET", "/livez", health.livez),
    Route("GET", "/readyz", health.readyz),
    Route("GET", "/healthz", health.readyz),
]

BENCH_ROUTES = [
    Route("GET", "/plaintext", bench.plaintext),
    Route("GET", "/json", bench.json),
    Route("GET", "/wait", bench.wait),
    Route("GET", "/cpu", bench.cpu),
    Route("GET", "/db", bench.db),
    Route("POST", "/echo", bench.echo),
]


def create_app(settings: AppSettings) -> ASGIApp:
    """Assemble the app. A request passes through the layers from the bottom of this function to its top."""
    import_needed(settings)
    routes = ROUTES + BENCH_ROUTES if settings.bench_endpoints else ROUTES
    app: ASGIApp = Router(routes, max_body_bytes=settings.max_body_bytes)
    app = Errors(app, {Unavailable: unavailable})
    app = Origins(app, settings.allowed_origins)  # outside Errors: pages of an allowed origin may read error responses
    standalone = Standalone(app)
    return Lifespan(standalone, partial(lifespan, settings, standalone))


def unavailable(error: Unavailable) -> HTTPError:
    return HTTPError(503, f"{error}.".capitalize(), headers=[(b"retry-after", b"1")])


@asynccontextmanager
async def lifespan(settings: AppSettings, own: Counter, state: dict[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
    """Open one worker's resources, and close them at its end.

    A server that drains provides `state["draining"]`, an asyncio.Event; one that counts requests, `state["counts"]`.
    """
    draining = state.get("draining") or asyncio.Event()
    counter = state.get("counts") or own
    if settings.migrate:
        from app.migrate import migrate  # Alembic is imported only where it is used: 9 MiB in each worker

        await asyncio.to_thread(migrate, settings.database_url)
    async with open_services(settings, counter, draining) as services:
        yield {"services": services, "commit": settings.commit}


application = create_app(AppSettings.from_environment())


async def simple_app(scope: Scope, receive: Receive, send: Send) -> None:
    """The smallest complete ASGI app: `gunicorn -k uvicorn.workers.UvicornWorker app.main:simple_app` serves it."""
    if scope["type"] == "lifespan":
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"Hello, World!"})
    else:
        await send({"type": "websocket.close"})
