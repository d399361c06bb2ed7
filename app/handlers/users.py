"""Users over HTTP; the WSGI counterpart, `app/wsgi.py`, calls the same functions."""

from app import fields
from app.asgi.errors import HTTPError
from app.asgi.request import Request
from app.asgi.response import Response
from app.services import Services, users
from app.services.errors import NameTaken
from app.services.users import MAX_ID, NAME_LENGTH, User

MOST_PER_PAGE = 100


async def list_users(request: Request) -> Response:
    """Return a page of users in the order of their ids; `next` is the next page's `after`, null on the last page."""
    limit, after = page_query(request.query)
    services: Services = request.state["services"]
    return page_response(await services.users.read(users.page, limit + 1, after), limit)


async def create_user(request: Request) -> Response:
    """Create a user: 201 with the user and its `Location`, or 409 if the name is taken."""
    name = user_name(await request.json())
    services: Services = request.state["services"]
    try:
        return created_response(await services.users.write(users.create, name), request.scope.get("root_path", ""))
    except NameTaken:
        raise name_taken(name) from None


async def get_user(request: Request) -> Response:
    """Return the user, or 404."""
    services: Services = request.state["services"]
    return user_response(await services.users.read(users.find, user_id(request.params["id"])))


async def delete_user(request: Request) -> Response:
    """Delete the user: 204, or 404 if there is no such user."""
    services: Services = request.state["services"]
    return deleted_response(await services.users.write(users.delete, user_id(request.params["id"])))


def page_query(query: dict[str, str]) -> tuple[int, int]:
    return fields.integer(query, "limit", 20, 1, MOST_PER_PAGE), fields.integer(query, "after", 0, 0, MAX_ID)


def page_response(found: list[User], limit: int) -> Response:
    """Return a page of users; `found` holds one user more than the limit if there is a next page."""
    more = len(found) > limit
    return Response.json(
        {"users": [user.as_json() for user in found[:limit]], "next": found[limit - 1].id if more else None}
    )


def user_name(data: object) -> str:
    return fields.text(fields.json_object(data), "name", NAME_LENGTH)


def created_response(user: User, prefix: str = "") -> Response:
    """Return a 201 for the user; `prefix` is the path under which the app is served."""
    return Response.json(user.as_json(), 201, ((b"location", f"{prefix}/api/users/{user.id}".encode()),))


def name_taken(name: str) -> HTTPError:
    return HTTPError(409, f"There is a user named {name!r} already.")


def user_id(text: str) -> int:
    """Return the id from a path; a text that can't be an id is a 404, too."""
    if text.isascii() and text.isdigit() and len(text) < 20 and (number := int(text)) <= MAX_ID:
        return number
    raise no_such_user()


def user_response(user: User | None) -> Response:
    if user is None:
        raise no_such_user()
    return Response.json(user.as_json())


def deleted_response(deleted: bool) -> Response:
    if not deleted:
        raise no_such_user()
    return Response(status=204)


def no_such_user() -> HTTPError:
    return HTTPError(404, "There is no such user.")
