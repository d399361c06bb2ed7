"""The users over HTTP: create, read, page and delete, and every invalid request."""

import json
import re
from uuid import uuid4

import pytest

from app.asgi.types import Header
from tests.app.contract.stacks import Stack
from tests.harness.driver import Answer

pytestmark = pytest.mark.asyncio(loop_scope="session")

JSON: Header = (b"content-type", b"application/json")


def new_name() -> str:
    return f"Ann {uuid4().hex}"


def is_problem(answer: Answer, status: int) -> str:
    """Check the members of RFC 9457 and return the detail."""
    assert answer.status == status, answer
    assert answer.header("content-type") == "application/problem+json"
    assert answer.header("cache-control") == "no-store"
    problem = answer.json()
    assert problem["type"] == "about:blank"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["request_id"] == answer.header("x-request-id")
    return str(problem["detail"])


async def test_create(stack: Stack) -> None:
    """A new user is a 201 with its address, which returns the same user."""
    name = new_name()
    answer = await stack.post("/api/users", {"name": name})

    user = answer.json()
    assert answer.status == 201
    assert answer.header("content-type") == "application/json"
    assert answer.header("location") == f"/api/users/{user['id']}"
    assert list(user) == ["id", "name", "created_at"]
    assert user["name"] == name
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", user["created_at"])
    found = await stack.get(answer.header("location") or "")
    assert (found.status, found.json()) == (200, user)


async def test_create_with_other_members(stack: Stack) -> None:
    """Unknown members are ignored and never stored."""
    answer = await stack.post("/api/users", {"name": new_name(), "id": 1, "admin": True})

    assert answer.status == 201
    assert list(answer.json()) == ["id", "name", "created_at"]


@pytest.mark.parametrize("length", [1, 100])
@pytest.mark.parametrize("letter", ["x", "ü", "\U0001f600"])
async def test_name_of_any_length_allowed(stack: Stack, letter: str, length: int) -> None:
    """A name has 1 to 100 characters, however many bytes those are."""
    name = letter * length
    answer = await stack.post("/api/users", {"name": name})
    if answer.status == 409:
        pytest.fail(f"{name} is left over")
    await stack.request("DELETE", answer.header("location") or "")

    assert (answer.status, answer.json()["name"]) == (201, name)


async def test_name_is_taken(stack: Stack) -> None:
    """A second user with the same name is a 409."""
    name = new_name()
    await stack.post("/api/users", {"name": name})

    assert name in is_problem(await stack.post("/api/users", {"name": name}), 409)


async def test_delete(stack: Stack) -> None:
    """A deleted user is gone, and its name is free again."""
    name = new_name()
    location = (await stack.post("/api/users", {"name": name})).header("location") or ""
    answer = await stack.request("DELETE", location)

    assert (answer.status, answer.body, answer.header("content-length")) == (204, b"", None)
    assert is_problem(await stack.get(location), 404)
    assert is_problem(await stack.request("DELETE", location), 404)
    again = await stack.post("/api/users", {"name": name})
    assert again.status == 201
    assert again.header("location") != location


async def test_pages(stack: Stack) -> None:
    """Pages follow each other by `next` in the order of creation; users created or deleted meanwhile make no gap."""
    made = [(await stack.post("/api/users", {"name": new_name()})).json() for _ in range(7)]
    after = made[0]["id"] - 1
    first = (await stack.get(f"/api/users?limit=3&after={after}")).json()
    await stack.request("DELETE", f"/api/users/{made[2]['id']}")
    await stack.request("DELETE", f"/api/users/{made[4]['id']}")
    late = (await stack.post("/api/users", {"name": new_name()})).json()
    second = (await stack.get(f"/api/users?limit=3&after={first['next']}")).json()
    third = (await stack.get(f"/api/users?limit=3&after={second['next']}")).json()

    assert first == {"users": made[:3], "next": made[2]["id"]}
    assert second == {"users": [made[3], made[5], made[6]], "next": made[6]["id"]}
    assert third == {"users": [late], "next": None}


async def test_page_by_default(stack: Stack) -> None:
    """A page has 20 users without a limit, and at most 100 with one."""
    for _ in range(21):
        await stack.post("/api/users", {"name": new_name()})

    assert len((await stack.get("/api/users")).json()["users"]) == 20
    assert len((await stack.get("/api/users?limit=100")).json()["users"]) > 20


async def test_last_page(stack: Stack) -> None:
    """After the last user the page is empty, and there is no next page."""
    answer = await stack.get(f"/api/users?after={2**63 - 1}")

    assert (answer.status, answer.json()) == (200, {"users": [], "next": None})


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=", "limit"),
        ("limit=ten", "limit"),
        ("limit=1e1", "limit"),
        ("limit=%D9%A1", "limit"),
        ("limit=" + "9" * 4_000, "limit"),
        ("after=-1", "after"),
        ("after=x", "after"),
        ("after=%00", "after"),
        ("after=9223372036854775808", "after"),
    ],
    ids=lambda text: text[:20],
)
async def test_page_that_is_refused(stack: Stack, query: str, field: str) -> None:
    """An invalid limit or position is a 422 that names the field."""
    answer = await stack.get(f"/api/users?{query}")

    assert is_problem(answer, 422).startswith(f"{field} is ")
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("query", ["limit=%ff", "a=" + "&a=" * 101], ids=["not UTF-8", "102 fields"])
async def test_query_that_is_refused(stack: Stack, query: str) -> None:
    """A malformed query is a 400."""
    is_problem(await stack.get(f"/api/users?{query}"), 400)


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "9223372036854775807",
        "9223372036854775808",
        "9" * 4_000,
        "-1",
        "x",
        "1.0",
        "%31x",
        "%D9%A1",
        "1%20",
        "%C3%BC",
        "%ff",
    ],
    ids=lambda text: text[:20],
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_nobody_has_this_id(stack: Stack, method: str, text: str) -> None:
    """A text that is no user's id is a 404, however it is written."""
    is_problem(await stack.request(method, f"/api/users/{text}"), 404)


@pytest.mark.parametrize(
    "name",
    [
        None,
        1,
        True,
        1.5,
        [],
        {},
        "",
        " ",
        "\u00a0\u2003",
        "x" * 101,
        "a\0b",
        "\0",
        "a\nb",
        "\x1b[0m",
        "\ud800",
        "\U0001f600"[:0] + "\udc00x",
    ],
    ids=ascii,
)
async def test_name_that_is_refused(stack: Stack, name: object) -> None:
    """Valid JSON with an invalid name is a 422 that names the field, NUL and lone surrogates included."""
    answer = await stack.post("/api/users", {"name": name})

    assert is_problem(answer, 422).startswith("name is ")
    (error,) = answer.json()["errors"]
    assert set(error) == {"field", "value", "allowed"}
    assert error["field"] == "name"


@pytest.mark.parametrize("data", [None, 1, "a", [], [{"name": "a"}], True], ids=ascii)
async def test_body_that_is_no_object(stack: Stack, data: object) -> None:
    """Valid JSON that is no object is a 422 for the body."""
    answer = await stack.post("/api/users", data)

    assert is_problem(answer, 422).startswith("body is ")
    assert answer.json()["errors"][0]["field"] == "body"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b'{"name"', id="unclosed"),
        pytest.param(b'{"name":NaN}', id="NaN"),
        pytest.param(b'{"name":-Infinity}', id="infinity"),
        pytest.param(b'{"name":"\xff"}', id="not UTF-8"),
        pytest.param(b'{"name":"\xed\xa0\x80"}', id="a surrogate as UTF-8"),
        pytest.param(b"\xef\xbb\xbf{}", id="byte order mark"),
        pytest.param('{"name":"a"}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b"[" * 9_000, id="deep"),
        pytest.param(b'{"name":' + b"1" * 5_000 + b"}", id="huge integer"),
        pytest.param(b"\0", id="NUL"),
        pytest.param(b"name=Ann", id="a form"),
    ],
)
@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
async def test_body_that_is_not_json(stack: Stack, body: bytes, chunked: bool) -> None:
    """A body that is not JSON is a 400."""
    is_problem(await stack.request("POST", "/api/users", [JSON], [body], chunked=chunked), 400)


@pytest.mark.parametrize("depth", [300, 900, 980, 990, 1_000, 1_010, 1_600])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
@pytest.mark.parametrize("shape", [b"%s", b'{"name":%s}'])
async def test_any_depth_is_refused(stack: Stack, shape: bytes, opening: bytes, closing: bytes, depth: int) -> None:
    """A deeply nested value is a 400 or a 422; Python's releases differ in the depth that they can read."""
    body = shape % (opening * depth + b"1" + closing * depth)
    answer = await stack.request("POST", "/api/users", [JSON], [body])

    assert answer.status in (400, 422)
    is_problem(answer, answer.status)


async def test_huge_number(stack: Stack) -> None:
    """A number too large for a float is refused like any other value that is no name."""
    is_problem(await stack.request("POST", "/api/users", [JSON], [b'{"name":1e999}']), 422)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"content-type", b"text/plain")],
        [(b"content-type", b"application/x-www-form-urlencoded")],
        [(b"content-type", b"")],
        [(b"content-type", b"json; charset=utf-8")],
    ],
    ids=["none", "text", "form", "empty", "no type"],
)
async def test_other_content_type(stack: Stack, headers: list[Header]) -> None:
    """Another content type is a 415 that names the accepted one."""
    answer = await stack.request("POST", "/api/users", headers, [b'{"name":"Ann"}'])

    is_problem(answer, 415)
    assert answer.header("accept") == "application/json"


@pytest.mark.parametrize("kind", [b"application/json; charset=utf-8", b"APPLICATION/JSON", b"application/vnd.api+json"])
async def test_content_type_that_is_accepted(stack: Stack, kind: bytes) -> None:
    """Its parameters and case do not matter."""
    body = json.dumps({"name": new_name()}).encode()

    assert (await stack.request("POST", "/api/users", [(b"content-type", kind)], [body])).status == 201


@pytest.mark.parametrize("pieces", [1, 2, 7, 40])
async def test_body_in_pieces(stack: Stack, pieces: int) -> None:
    """A body in any number of chunks is read as the same body."""
    name = new_name()
    body = json.dumps({"name": name}).encode()
    size = len(body) // pieces + 1
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    answer = await stack.request("POST", "/api/users", [JSON], chunks, chunked=True)

    assert (answer.status, answer.json()["name"]) == (201, name)
