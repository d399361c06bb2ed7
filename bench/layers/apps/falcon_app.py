"""Falcon's ASGI app."""

from falcon import HTTP_201, HTTPNotFound, HTTPUnprocessableEntity
from falcon.asgi import App, Request, Response

from .data import USERS, created, page
from .toolkit import duties


class UsersResource:
    async def on_get(self, request: Request, response: Response) -> None:
        response.media = page()

    async def on_post(self, request: Request, response: Response) -> None:
        data = await request.get_media()
        if not isinstance(data, dict) or not isinstance(data.get("name"), str):
            raise HTTPUnprocessableEntity(description="name is needed")
        response.media = created(data["name"])
        response.status = HTTP_201


class UserResource:
    async def on_get(self, request: Request, response: Response, user_id: int) -> None:
        user = USERS.get(user_id)
        if user is None:
            raise HTTPNotFound
        response.media = user


plain = App()
plain.add_route("/api/users", UsersResource())
plain.add_route("/api/users/{user_id:int}", UserResource())
application = duties(plain)  # type: ignore[arg-type]
