"""The base case: an app of three lines for each call that sends precomputed bytes."""

from app.asgi.codec import encode_json
from app.asgi.types import ASGIApp, Receive, Scope, Send

from .data import USERS, created, page


def fixed(status: int, body: bytes) -> ASGIApp:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


list_users = fixed(200, encode_json(page()))
get_user = fixed(200, encode_json(USERS[2]))
create_user = fixed(201, encode_json(created("Edsger")))
