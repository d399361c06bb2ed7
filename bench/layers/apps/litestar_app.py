"""Litestar."""

from dataclasses import dataclass
from typing import Any

from litestar import Litestar, get, post
from litestar.exceptions import NotFoundException

from .data import USERS, created, page
from .toolkit import duties


@dataclass
class NewUser:
    name: str


@get("/api/users")
async def list_users() -> dict[str, Any]:
    return page()


@get("/api/users/{user_id:int}")
async def get_user(user_id: int) -> dict[str, Any]:
    if user_id not in USERS:
        raise NotFoundException
    return USERS[user_id]


@post("/api/users")
async def create_user(data: NewUser) -> dict[str, Any]:
    return created(data.name)


plain = Litestar([list_users, get_user, create_user], openapi_config=None)
application = duties(plain)  # type: ignore[arg-type]
