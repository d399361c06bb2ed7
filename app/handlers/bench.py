"""The benchmark's endpoints, offered only with BENCH_ENDPOINTS=1; `app/wsgi.py` is the WSGI counterpart."""

import asyncio

from app import fields
from app.asgi.request import Request
from app.asgi.response import Response
from app.services import Services, users, work
from app.services.users import User

OCTETS = (b"content-type", b"application/octet-stream")


async def plaintext(request: Request) -> Response:
    return Response.text(work.PLAINTEXT)


async def json(request: Request) -> Response:
    return Response.json(work.GREETING)


async def wait(request: Request) -> Response:
    """Sleep for `ms` milliseconds, like a handler that waits for another service."""
    ms = milliseconds(request.query)
    await asyncio.sleep(ms / 1_000)
    return milliseconds_response(ms)


async def cpu(request: Request) -> Response:
    """Compute for `ms` milliseconds. This blocks the event loop on purpose: the benchmark measures the effect."""
    ms = milliseconds(request.query)
    work.burn(ms)
    return milliseconds_response(ms)


async def db(request: Request) -> Response:
    """Read one row."""
    services: Services = request.state["services"]
    return first_user_response(await services.users.read(users.page, 1, 0))


async def echo(request: Request) -> Response:
    return Response(await request.body(), headers=(OCTETS,))


def milliseconds(query: dict[str, str]) -> int:
    return fields.integer(query, "ms", 0, 0, work.MAX_MILLISECONDS)


def milliseconds_response(ms: int) -> Response:
    return Response.json({"ms": ms})


def first_user_response(found: list[User]) -> Response:
    return Response.json({"user": found[0].as_json() if found else None})
