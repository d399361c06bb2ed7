"""Whether the worker is alive, whether it can serve, and what the workers are doing."""

import asyncio

from app.asgi.request import Request
from app.asgi.response import NO_STORE, Response
from app.services import Health, Services
from app.services.metrics import CONTENT_TYPE, exposition


async def livez(request: Request) -> Response:
    """The process and its event loop answer; nothing else is asked."""
    return Response.json({"status": "pass"}, headers=(NO_STORE,))


async def readyz(request: Request) -> Response:
    """Whether this worker can serve: 503 while it drains or a dependency is away, each of them named.

    A dependency that is full is a warning: what only reads, or needs another one, is served.
    """
    services: Services = request.state["services"]
    draining: asyncio.Event = request.state.get("draining", services.draining)  # set for us alone before a stop
    checks = {**await services.check(), "draining": Health.FAIL if draining.is_set() else Health.PASS}
    status = max(checks.values(), key=tuple(Health).index)
    body = {"status": status, "checks": checks, "worker": services.monitor.identity}
    headers = (NO_STORE, (b"retry-after", b"1")) if status is Health.FAIL else (NO_STORE,)
    return Response.json(body, 503 if status is Health.FAIL else 200, headers)


async def metrics(request: Request) -> Response:
    """Prometheus text over all workers; nginx does not pass this path on."""
    services: Services = request.state["services"]
    return Response(exposition(services.monitor.workers()), headers=((b"content-type", CONTENT_TYPE), NO_STORE))
