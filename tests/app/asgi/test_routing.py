"""Which handler a request finds, and the answer where there is none."""

import pytest

from app.asgi.errors import HTTPError
from app.asgi.request import Request
from app.asgi.response import Response
from app.asgi.routing import WEBSOCKET, Route, Router, Routes, websocket
from app.asgi.websocket import WebSocket
from tests.harness.driver import Conversation, http_scope, request, websocket_scope


async def handler(request: Request) -> Response:
    return Response.json(request.params)


async def socket_handler(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send(str(socket.params))


ROUTES = [
    Route("GET", "/", handler),
    Route("GET", "/users", handler),
    Route("POST", "/users", handler),
    Route("GET", "/users/{id}", handler),
    Route("DELETE", "/users/{id}", handler),
    Route("GET", "/users/me", handler),
    Route("GET", "/users/{id}/posts/{post}", handler),
    Route("GET", "/users/me/photo", handler),
    Route("GET", "/slash/", handler),
    Route("POST", "/only-post", handler),
    websocket("/ws", socket_handler),
    websocket("/ws/{room}", socket_handler),
]
TABLE = Routes(ROUTES)


def refused(method: str, path: str) -> HTTPError:
    with pytest.raises(HTTPError) as caught:
        TABLE.match(method, path)
    return caught.value


@pytest.mark.parametrize(
    ("method", "path", "template", "params"),
    [
        ("GET", "/", "/", {}),
        ("GET", "/users", "/users", {}),
        ("POST", "/users", "/users", {}),
        ("GET", "/users/7", "/users/{id}", {"id": "7"}),
        ("DELETE", "/users/me2", "/users/{id}", {"id": "me2"}),
        ("GET", "/users/me", "/users/me", {}),
        ("GET", "/users/7/posts/x y", "/users/{id}/posts/{post}", {"id": "7", "post": "x y"}),
        ("GET", "/users/me/posts/1", "/users/{id}/posts/{post}", {"id": "me", "post": "1"}),
        ("GET", "/users/{id}", "/users/{id}", {"id": "{id}"}),
        ("GET", "/slash/", "/slash/", {}),
        (WEBSOCKET, "/ws/1", "/ws/{room}", {"room": "1"}),
    ],
)
def test_match(method: str, path: str, template: str, params: dict[str, str]) -> None:
    """A literal segment wins over a parameter, also where the search has to go back and take the parameter."""
    route, found = TABLE.match(method, path)

    assert (route.path, route.method, found) == (template, method, params)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "*",
        "users",
        "x/users",
        "//",
        "//users",
        "/users/",
        "/users//",
        "/users/7/",
        "/users//posts/1",
        "/Users",
        "/slash",
    ],
)
def test_no_such_path(path: str) -> None:
    """Any other path is a 404: a trailing slash, an empty segment or other case makes another path."""
    assert refused("GET", path).status == 404


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/users", b"GET, HEAD, OPTIONS, POST"),
        ("PATCH", "/users/7", b"DELETE, GET, HEAD, OPTIONS"),
        ("GET", "/only-post", b"OPTIONS, POST"),
        ("HEAD", "/only-post", b"OPTIONS, POST"),
        ("get", "/users", b"GET, HEAD, OPTIONS, POST"),
        ("POST", "/ws", b"OPTIONS"),
    ],
)
def test_method_not_allowed(method: str, path: str, allowed: bytes) -> None:
    """A known path with another method is a 405 with the allowed methods, sorted."""
    error = refused(method, path)

    assert error.status == 405
    assert error.headers == [(b"allow", allowed)]


def test_head_falls_back_to_get() -> None:
    """Every GET route answers HEAD."""
    assert TABLE.match("HEAD", "/users/7")[0].method == "GET"


def test_get_of_a_websocket() -> None:
    """A plain GET of a websocket's path is a 426, which tells the client to upgrade."""
    error = refused("GET", "/ws")

    assert error.status == 426
    assert error.headers == [(b"upgrade", b"websocket"), (b"connection", b"upgrade")]


async def test_no_http_method_reaches_a_websocket_handler() -> None:
    """A request is HTTP whatever its method is called, so it never reaches a websocket handler."""
    router = Router(ROUTES, max_body_bytes=1)

    with pytest.raises(HTTPError) as caught:
        await request(router, "WEBSOCKET", "/ws")

    assert caught.value.status == 405


@pytest.mark.parametrize(
    "template", ["", "users", "/{", "/}", "/{}", "/{ID}", "/a{id}", "/{id}b", "/{a}{b}", "/{a b}", "/{a:int}", "/a?{b}"]
)
def test_bad_template(template: str) -> None:
    """An invalid template fails where the route is written."""
    with pytest.raises(ValueError, match="bad path template"):
        Route("GET", template, handler)


@pytest.mark.parametrize(
    ("first", "second"),
    [("/a", "/a"), ("/a/{x}", "/a/{x}"), ("/a/{x}", "/a/{y}")],
)
def test_duplicate_routes(first: str, second: str) -> None:
    """Two routes for the same requests fail when the table is made."""
    with pytest.raises(ValueError, match="already taken"):
        Routes([Route("GET", first, handler), Route("GET", second, handler)])


def test_two_names_for_one_parameter() -> None:
    """Two names for one parameter fail, also in routes of two methods: the table keeps one set of names per path."""
    with pytest.raises(ValueError, match="already taken"):
        Routes([Route("GET", "/a/{x}", handler), Route("POST", "/a/{y}", handler)])


async def test_router_gives_the_parameters() -> None:
    """A handler finds the path's parameters in its request."""
    answer = await request(Router(ROUTES, max_body_bytes=1), "GET", "/users/%C3%BC")

    assert answer.json() == {"id": "ü"}


async def test_router_answers_options() -> None:
    """OPTIONS lists the allowed methods, and has no body."""
    answer = await request(Router(ROUTES, max_body_bytes=1), "OPTIONS", "/users/7")

    assert (answer.status, answer.headers, answer.body) == (204, [(b"allow", b"DELETE, GET, HEAD, OPTIONS")], b"")


async def test_router_prefers_an_options_handler() -> None:
    """A route for OPTIONS takes the place of the default answer."""
    router = Router([Route("OPTIONS", "/", handler)], max_body_bytes=1)

    assert (await request(router, "OPTIONS", "/")).status == 200


async def test_router_opens_websockets() -> None:
    """A websocket's handler finds the parameters of the path too."""
    async with Conversation(Router(ROUTES, max_body_bytes=1), websocket_scope("/ws/7")) as talk:
        talk.give("websocket.connect")
        await talk.take("websocket.accept")
        assert (await talk.take("websocket.send"))["text"] == "{'room': '7'}"
        await talk.end()


@pytest.mark.parametrize("path", ["/nowhere", "/users"])
async def test_router_has_no_such_websocket(path: str) -> None:
    """A websocket to an unknown path or a plain page is a 404."""
    async with Conversation(Router(ROUTES, max_body_bytes=1), websocket_scope(path)) as talk:
        with pytest.raises(HTTPError) as caught:
            await talk.end()

    assert caught.value.status == 404


async def test_router_hands_over_the_cap() -> None:
    """Each request has the router's limit on bodies."""

    async def read(request: Request) -> Response:
        return Response(await request.body())

    with pytest.raises(HTTPError) as caught:
        await request(Router([Route("POST", "/", read)], max_body_bytes=3), "POST", "/", body=[b"four"])

    assert caught.value.status == 413


async def test_router_knows_no_other_scope() -> None:
    """An unknown scope type raises ValueError, as the specification demands."""
    scope = {**http_scope("GET", "/"), "type": "smtp"}

    async with Conversation(Router(ROUTES, max_body_bytes=1), scope) as talk:
        with pytest.raises(ValueError, match="smtp"):
            await talk.end()
