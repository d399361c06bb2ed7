"""Rules for every path: methods, missing paths, unusual paths, errors, origins."""

import pytest

from app.asgi.types import Header
from app.main import BENCH_ROUTES, ROUTES
from tests.app.contract.stacks import MAX_BODY_BYTES, Stack
from tests.app.contract.test_users import is_problem, new_name

pytestmark = pytest.mark.asyncio(loop_scope="session")

GETS = sorted({route.path for route in ROUTES + BENCH_ROUTES if route.method == "GET" and "{" not in route.path})
ALLOW = {
    "/": "GET, HEAD, OPTIONS",
    "/api/users": "GET, HEAD, OPTIONS, POST",
    "/api/users/1": "DELETE, GET, HEAD, OPTIONS",
    "/static/app.css": "GET, HEAD, OPTIONS",
    "/echo": "OPTIONS, POST",
    "/ws/chat": "OPTIONS",
}


@pytest.mark.parametrize("path", GETS)
async def test_head(stack: Stack, path: str) -> None:
    """HEAD answers as GET does, without the body."""
    answer = await stack.request("HEAD", path)

    assert (answer.status, answer.body) == (200, b"")
    if path != "/events":
        full = await stack.get(path)
        volatile = {b"date", b"x-request-id"} | ({b"content-length"} if path.endswith("z") else set())
        assert [pair for pair in answer.headers if pair[0] not in volatile] == [
            pair for pair in full.headers if pair[0] not in volatile
        ]


async def test_head_of_nothing(stack: Stack) -> None:
    """An error's answer to HEAD has no body either."""
    answer = await stack.request("HEAD", "/nothing")

    assert (answer.status, answer.body) == (404, b"")
    assert answer.header("content-type") == "application/problem+json"


@pytest.mark.parametrize(("path", "allow"), ALLOW.items())
async def test_options(stack: Stack, path: str, allow: str) -> None:
    """OPTIONS lists the allowed methods."""
    answer = await stack.request("OPTIONS", path)

    assert (answer.status, answer.body, answer.header("allow")) == (204, b"", allow)


@pytest.mark.parametrize(("path", "allow"), ALLOW.items())
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_method_not_allowed(stack: Stack, path: str, allow: str, method: str) -> None:
    """Another method is a 405 with the allowed methods, sorted."""
    answer = await stack.request(method, path)

    is_problem(answer, 405)
    assert answer.header("allow") == allow


@pytest.mark.parametrize("path", ["/ws/echo", "/ws/chat"])
async def test_plain_get_of_a_websocket(stack: Stack, path: str) -> None:
    """A plain GET of a websocket's path is a 426, which tells the client to upgrade."""
    answer = await stack.get(path)

    is_problem(answer, 426)
    assert answer.header("upgrade") == "websocket"


@pytest.mark.parametrize(
    "target",
    [
        "/nothing",
        "/API/users",
        "/api",
        "/api/users/1/posts",
        "/ws",
        "/static/nothing.css",
        "/nothing?a=1",
        "/.env",
        "/x%20y",
    ],
)
async def test_nothing_here(stack: Stack, target: str) -> None:
    """An unknown path is a 404."""
    is_problem(await stack.get(target), 404)


@pytest.mark.parametrize("path", ["/chat/", "/api/users/", "/livez/", "/static/app.css/", "/ws/echo/"])
async def test_trailing_slash(stack: Stack, path: str) -> None:
    """A trailing slash makes another path, and nothing redirects."""
    is_problem(await stack.get(path), 404)


@pytest.mark.parametrize(
    "target",
    [
        "//",
        "///",
        "//chat",
        "/api//users",
        "/api/./users",
        "/api/../chat",
        "/../../etc/passwd",
        "/static/../../app/main.py",
        "/static/..%2f..%2fapp%2fmain.py",
        "/static/%2e%2e/app.css",
        "/%00",
        "/chat%00",
        "/api/users/%00",
        "/api/users/%2F",
        "/%",
        "/%zz",
        "/%c3%28",
        "/%ff%fe",
        "/%ed%a0%80",
        "/" + "a" * 4_000,
        "/" + "a/" * 1_500,
        "/;/../",
        "/chat;v=1",
        "/chat:80",
        "/\\chat",
        "/chat%3Fa=1",
        "/chat%23a",
        "/{id}",
        "/api/users/{id}",
        "/static/%7Bname%7D",
        "/?" + "a" * 4_000,
        "/?%",
        "/?%00=%00",
        "/?a=%ff",
        "/??",
    ],
    ids=lambda text: text[:30],
)
async def test_odd_paths(stack: Stack, target: str) -> None:
    """No path makes the server fail: the answer is a page, a 400 or a 404, errors in their common form."""
    answer = await stack.get(target)

    assert answer.status in (200, 400, 404), answer
    if answer.status != 200:
        is_problem(answer, answer.status)
    else:
        assert target.startswith("/?") or answer.body == (await stack.get("/chat")).body


@pytest.mark.parametrize(
    "target", ["/metrics", "//metrics", "/%6detrics", "/x/../metrics", "/./metrics", "/metrics?a=1"]
)
async def test_metrics_are_private(stack: Stack, target: str) -> None:
    """No spelling of the path shows metrics: the server serves them on a listener of its own."""
    is_problem(await stack.get(target), 404)


async def test_request_id_of_the_client(stack: Stack) -> None:
    """A client's id is kept unless a proxy in front of the app sets its own."""
    answer = await stack.get("/nothing", (b"x-request-id", b"my-id.1"))

    is_problem(answer, 404)
    assert (answer.header("x-request-id") == "my-id.1") is stack.takes_request_id


@pytest.mark.parametrize("given", [b"", b"a b", b"x" * 65, b'"', b"a;b"])
async def test_request_id_that_is_refused(stack: Stack, given: bytes) -> None:
    """An id that could confuse a log is replaced."""
    made = (await stack.get("/livez", (b"x-request-id", given))).header("x-request-id") or ""

    assert len(made) == 32
    assert int(made, 16) >= 0


async def test_each_answer_has_its_id(stack: Stack) -> None:
    """Every answer has an id, and no two are the same."""
    ids = {(await stack.get(path)).header("x-request-id") for path in ("/", "/livez", "/nothing", "/api/users") * 5}

    assert len(ids) == 20
    assert None not in ids


ALLOWED: Header = (b"origin", b"https://a.example")
FOREIGN: Header = (b"origin", b"https://evil.example")


@pytest.mark.parametrize("path", ["/api/users", "/api/users/0", "/nothing"])
async def test_allowed_origin(stack: Stack, path: str) -> None:
    """A page of an allowed origin may read every answer, errors included."""
    answer = await stack.get(path, ALLOWED)

    assert answer.header("access-control-allow-origin") == "https://a.example"
    assert "origin" in " ".join(value.decode().lower() for name, value in answer.headers if name == b"vary")


async def test_foreign_origin(stack: Stack) -> None:
    """A page of another origin may not read the answer."""
    answer = await stack.get("/api/users", FOREIGN)

    assert answer.status == 200
    assert answer.header("access-control-allow-origin") is None


async def test_preflight(stack: Stack) -> None:
    """A preflight is permitted for an allowed origin and for no other."""
    asked: Header = (b"access-control-request-method", b"DELETE")
    allowed = await stack.request("OPTIONS", "/api/users/1", [ALLOWED, asked])
    foreign = await stack.request("OPTIONS", "/api/users/1", [FOREIGN, asked])

    assert allowed.status == 204
    assert "DELETE" in (allowed.header("access-control-allow-methods") or "")
    assert foreign.header("access-control-allow-origin") is None
    assert foreign.header("access-control-allow-methods") is None


async def test_body_over_the_limit(stack: Stack) -> None:
    """A body over the limit is a 413, declared or chunked; a body of exactly the limit passes."""
    for chunked in (False, True):
        fits = await stack.request("POST", "/echo", body=[b"x" * MAX_BODY_BYTES], chunked=chunked)
        assert (fits.status, len(fits.body)) == (200, MAX_BODY_BYTES)
        over = await stack.request("POST", "/echo", body=[b"x" * MAX_BODY_BYTES, b"x"], chunked=chunked)
        is_problem(over, 413)


async def test_connection_goes_on_after_an_error(stack: Stack) -> None:
    """After any refusal the next request is answered as usual."""
    for target in ("/nothing", "/%00", "/api/users?limit=x", "/%zz"):
        await stack.get(target)
        assert (await stack.post("/api/users", {"name": new_name()})).status == 201


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
async def test_body_that_nobody_reads(stack: Stack, chunked: bool) -> None:
    """A body that the handler does not read does no harm."""
    for _ in range(3):
        assert (await stack.request("GET", "/version", body=[b"x" * 1_000], chunked=chunked)).status == 200
