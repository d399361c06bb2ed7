"""The WSGI baseline and the ASGI app give the same answers, byte for byte, so that a benchmark compares like with like.

Both are called over the network, with one database, and with one request id.
"""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.app.contract.stacks import MAX_BODY_BYTES, SECONDS, VARIABLES
from tests.harness.processes import short_folder
from tests.harness.stack import served_by_uvicorn, serving

COMPARED = (
    "content-type",
    "content-length",
    "location",
    "allow",
    "accept",
    "cache-control",
    "retry-after",
    "x-request-id",
)
LITERAL = ("gunicorn", "-k", "gthread", "--threads", "8")
JSON = {"content-type": "application/json"}
ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=20)

Summary = tuple[int, bytes, dict[str, str]]


class Pair:
    """The ASGI app and its twin."""

    def __init__(self, asgi: httpx.Client, wsgi: httpx.Client) -> None:
        self.asgi = asgi
        self.wsgi = wsgi

    def both(self, method: str, target: str, headers: dict[str, str] | None = None, body: Any = b"") -> Summary:
        """Send the same request to both; fail if the answers differ."""
        first = ask(self.asgi, method, target, headers, body)
        second = ask(self.wsgi, method, target, headers, body)
        assert first == second
        return first


def ask(
    client: httpx.Client, method: str, target: str, headers: dict[str, str] | None = None, body: Any = b""
) -> Summary:
    """Return status, body and the compared headers; a list of bytes is sent in chunks."""
    content = iter(body) if isinstance(body, list) else body
    sent = {"x-request-id": "same-for-both", "accept-encoding": "identity", **(headers or {})}
    extensions = {"target": target.encode()}
    answer = client.send(client.build_request(method, "/", headers=sent, content=content, extensions=extensions))
    return (
        answer.status_code,
        answer.content,
        {name: answer.headers[name] for name in COMPARED if name in answer.headers},
    )


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with short_folder() as folder:
        variables = {**VARIABLES, "DATABASE_URL": f"sqlite:///{folder}/both.db"}
        with (
            served_by_uvicorn(**variables) as other,
            serving("app.wsgi:application", literal=LITERAL, slots="shared", **variables) as server,
            httpx.Client(base_url=other.url, timeout=SECONDS) as asgi,
            httpx.Client(base_url=server.url, timeout=SECONDS) as wsgi,
        ):
            yield Pair(asgi, wsgi)


def new_user(client: httpx.Client) -> tuple[str, str]:
    """Create a user; return the name and the address."""
    name = uuid4().hex
    return name, str(client.post("/api/users", json={"name": name}).headers["location"])


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "path",
    ["/api/users", "/api/users/0", "/plaintext", "/json", "/wait", "/cpu", "/db", "/echo", "/nothing", "/api/users/"],
)
def test_every_method(pair: Pair, method: str, path: str) -> None:
    """Each shared path answers each method alike."""
    pair.both(method, path)


def test_users(pair: Pair) -> None:
    """A user stored by one is shown by the other, page by page, and a taken name is taken for both."""
    names = [new_user(client)[0] for client in (pair.asgi, pair.wsgi, pair.asgi)]
    status, body, _ = pair.both("GET", "/api/users?limit=100")
    users = json.loads(body)["users"]

    assert status == 200
    assert [user["name"] for user in users[-3:]] == names
    for user in users[-3:]:
        assert pair.both("GET", f"/api/users/{user['id']}")[0] == 200
        assert pair.both("HEAD", f"/api/users/{user['id']}")[0] == 200
        assert pair.both("GET", f"/api/users?limit=1&after={user['id'] - 1}")[0] == 200
        assert pair.both("POST", "/api/users", JSON, json.dumps({"name": user["name"]}).encode())[0] == 409
    assert pair.both("GET", "/db")[0] == 200


def test_created(pair: Pair) -> None:
    """The answers for a new user are the same but for id and time."""
    name = uuid4().hex
    shapes = []
    for client in (pair.asgi, pair.wsgi):
        status, body, headers = ask(client, "POST", "/api/users", JSON, json.dumps({"name": name}).encode())
        user = json.loads(body)
        assert headers["location"] == f"/api/users/{user['id']}"
        assert ask(client, "GET", headers["location"])[1] == body
        assert ask(client, "DELETE", headers.pop("location"))[0] == 204
        shapes.append((status, headers, list(user), user["name"], len(user["created_at"])))

    assert shapes[0] == shapes[1]


def test_deleted(pair: Pair) -> None:
    """The answers for a deleted user, and for one that is already gone, are the same."""
    first, second = new_user(pair.asgi)[1], new_user(pair.asgi)[1]

    assert ask(pair.asgi, "DELETE", first) == ask(pair.wsgi, "DELETE", second)
    assert pair.both("DELETE", first)[0] == 404
    assert pair.both("GET", second)[0] == 404


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (JSON, b"{}", 422),
        (JSON, b'{"name":"\\u0000"}', 422),
        (JSON, b'{"name":"\\ud800"}', 422),
        (JSON, b"[" * 9_000, 400),
        (JSON, b'{"name":NaN}', 400),
        (JSON, b'"\xff"', 400),
        (JSON, b"", 400),
        ({}, b"{}", 415),
        ({"content-type": "text/plain"}, b"{}", 415),
        (JSON, b"x" * (MAX_BODY_BYTES + 1), 413),
        (JSON, [b"x" * MAX_BODY_BYTES, b"x"], 413),
        (JSON, [b'{"na', b'me":1}'], 422),
    ],
    ids=lambda value: str(value)[:25],
)
def test_refusals(pair: Pair, headers: dict[str, str], body: bytes | list[bytes], status: int) -> None:
    """Invalid requests are refused with the same answers."""
    assert pair.both("POST", "/api/users", headers, body)[0] == status


@pytest.mark.parametrize("size", [0, 1, MAX_BODY_BYTES])
def test_echo(pair: Pair, size: int) -> None:
    """A body is returned the same way, declared and chunked."""
    assert pair.both("POST", "/echo", {}, b"x" * size)[:2] == (200, b"x" * size)
    assert pair.both("POST", "/echo", {}, [b"x" * size])[:2] == (200, b"x" * size)


@pytest.mark.parametrize("name", ["a" * 64, "a" * 65, "a b", "", "ok-1.2_3"])
def test_request_id(pair: Pair, name: str) -> None:
    """Both keep and refuse the same request ids."""
    kept = [
        ask(client, "GET", "/nothing", {"x-request-id": name})[2]["x-request-id"] == name
        for client in (pair.asgi, pair.wsgi)
    ]

    assert kept[0] == kept[1] == (name in ("a" * 64, "ok-1.2_3"))


ESCAPES = st.binary(max_size=8).map(lambda data: "".join(f"%{byte:02x}" for byte in data))
PARTS = st.one_of(
    st.sampled_from(["", "0", "1", "9" * 30, ".", "..", "%", "%zz", "%00", "users", "api", ";", "+"]), ESCAPES
)


@given(st.lists(PARTS, max_size=4), st.sampled_from(["GET", "DELETE", "HEAD"]))
def test_any_path(pair: Pair, parts: list[str], method: str) -> None:
    """Any path below /api/users gets the same answer from both."""
    assert pair.both(method, "/api/users/" + "/".join(parts))[0] in (200, 204, 400, 404, 405)


@given(
    st.sampled_from(["/api/users", "/cpu", "/wait"]),
    st.sampled_from(["limit", "after", "ms", "a"]),
    PARTS | st.sampled_from("12"),
)
def test_any_query(pair: Pair, path: str, field: str, value: str) -> None:
    """Any query gets the same answer from both."""
    assert pair.both("GET", f"{path}?{field}={value}")[0] in (200, 400, 422)


@given(
    st.one_of(st.binary(max_size=50), st.text('[]{},:"\\nameu0129eE+-.tf ', max_size=50).map(str.encode)), st.booleans()
)
def test_any_body(pair: Pair, body: bytes, chunked: bool) -> None:
    """Any body that creates no user gets the same answer from both."""
    status, answered, _ = first = ask(pair.asgi, "POST", "/api/users", JSON, [body] if chunked else body)
    if status == 201:
        assert ask(pair.asgi, "DELETE", f"/api/users/{json.loads(answered)['id']}")[0] == 204
        return
    assert ask(pair.wsgi, "POST", "/api/users", JSON, [body] if chunked else body) == first


@given(ANY_TEXT)
@settings(max_examples=100)
def test_any_name(pair: Pair, name: str) -> None:
    """Any name is accepted or refused by both."""
    body = json.dumps({"name": name}).encode()
    status, answered, _ = first = ask(pair.asgi, "POST", "/api/users", JSON, body)
    if status == 201:
        stored = json.loads(answered)
        assert stored["name"] == name
        assert pair.both("POST", "/api/users", JSON, body)[0] == 409
        assert pair.both("GET", f"/api/users/{stored['id']}")[1] == answered
        assert ask(pair.wsgi, "DELETE", f"/api/users/{stored['id']}")[0] == 204
    else:
        assert ask(pair.wsgi, "POST", "/api/users", JSON, body) == first
