"""Starlette."""

from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from .data import USERS, created, page
from .toolkit import duties


async def list_users(request: Request) -> JSONResponse:
    return JSONResponse(page())


async def get_user(request: Request) -> JSONResponse:
    user = USERS.get(request.path_params["id"])
    return JSONResponse(user) if user else JSONResponse({"detail": "not found"}, 404)


async def create_user(request: Request) -> JSONResponse:
    data: Any = await request.json()
    if not isinstance(data, dict) or not isinstance(data.get("name"), str):
        return JSONResponse({"detail": "name is needed"}, 422)
    return JSONResponse(created(data["name"]), 201)


plain = Starlette(
    routes=[
        Route("/api/users", list_users),
        Route("/api/users", create_user, methods=["POST"]),
        Route("/api/users/{id:int}", get_user),
    ]
)
application = duties(plain)
