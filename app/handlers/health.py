"""Health checks: liveness and readiness of a worker."""

import asyncio

from app.asgi.request import Request
from app.asgi.response import NO_STORE, Response
from app.services import Health, Services


async def livez(request: Request) -> Response:
    """Answer 200 while the event loop runs; nothing else is checked."""
    return Response.json({"status": "pass"}, headers=(NO_STORE,))


async def readyz(request: Request) -> Response:
    """Report whether this worker can serve: 503 while it drains or a dependency is away; the body lists each check.

    A full dependency is only a warning: reads, and requests that do not need it, are still served.
    """
    services: Services = request.state["services"]
    draining: asyncio.Event = request.state.get("draining", services.draining)  # set earlier for health checks
    checks = {**await services.check(), "draining": Health.FAIL if draining.is_set() else Health.PASS}
    status = max(checks.values(), key=tuple(Health).index)
    body = {"status": status, "checks": checks, "worker": services.monitor.identity}
    headers = (NO_STORE, (b"retry-after", b"1")) if status is Health.FAIL else (NO_STORE,)
    return Response.json(body, 503 if status is Health.FAIL else 200, headers)
