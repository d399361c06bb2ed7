"""Whether the worker is alive, whether it can serve, and what the workers are doing."""

from app.asgi.request import Request
from app.asgi.response import NO_STORE, Response
from app.services import Services
from app.services.metrics import CONTENT_TYPE, exposition


async def livez(request: Request) -> Response:
    """The process and its event loop answer; nothing else is asked."""
    return Response.json({"status": "pass"}, headers=(NO_STORE,))


async def readyz(request: Request) -> Response:
    """Whether this worker can serve: 503 while it drains or a dependency is away, each of them named."""
    services: Services = request.state["services"]
    checks = {**await services.check(), "draining": not services.draining.is_set()}
    ready = all(checks.values())
    body = {
        "status": _word(ready),
        "checks": {name: _word(passed) for name, passed in checks.items()},
        "worker": services.monitor.identity,
    }
    headers = (NO_STORE,) if ready else (NO_STORE, (b"retry-after", b"1"))
    return Response.json(body, 200 if ready else 503, headers)


async def metrics(request: Request) -> Response:
    """Prometheus text over all workers; nginx does not pass this path on."""
    services: Services = request.state["services"]
    return Response(exposition(services.monitor.workers()), headers=((b"content-type", CONTENT_TYPE), NO_STORE))


def _word(passed: bool) -> str:
    return "pass" if passed else "fail"
