"""BlackSheep."""

from blacksheep import Application, Request, Response, get, json, post

from .data import USERS, created, page
from .toolkit import duties

plain = Application()


@get("/api/users")
async def list_users() -> Response:
    return json(page())


@get("/api/users/{user_id}")
async def get_user(user_id: int) -> Response:
    user = USERS.get(user_id)
    return json(user) if user else json({"detail": "not found"}, 404)


@post("/api/users")
async def create_user(request: Request) -> Response:
    data = await request.json()
    if not isinstance(data, dict) or not isinstance(data.get("name"), str):
        return json({"detail": "name is needed"}, 422)
    return json(created(data["name"]), 201)


application = duties(plain)
