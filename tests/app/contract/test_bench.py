"""The benchmark's routes."""

import os
import time

import pytest

from tests.app.contract.stacks import MAX_BODY_BYTES, Stack
from tests.app.contract.test_users import is_problem, new_name

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_plaintext(stack: Stack) -> None:
    """/plaintext answers with a short text."""
    answer = await stack.get("/plaintext")

    assert (answer.status, answer.body) == (200, b"Hello, World!")
    assert answer.header("content-type") == "text/plain; charset=utf-8"


async def test_json(stack: Stack) -> None:
    """/json answers with a small object."""
    answer = await stack.get("/json")

    assert (answer.status, answer.body) == (200, b'{"message":"Hello, World!"}')


@pytest.mark.parametrize("path", ["/wait", "/cpu"])
async def test_milliseconds(stack: Stack, path: str) -> None:
    """The answer takes at least the requested milliseconds."""
    start = time.perf_counter()
    answer = await stack.get(f"{path}?ms=50")

    assert time.perf_counter() - start >= 0.05
    assert (answer.status, answer.json()) == (200, {"ms": 50})
    assert (await stack.get(path)).json() == {"ms": 0}


@pytest.mark.parametrize("ms", ["-1", "10001", "x", "1.5", "", "%00", "9" * 5_000], ids=lambda text: text[:9])
@pytest.mark.parametrize("path", ["/wait", "/cpu"])
async def test_milliseconds_that_are_refused(stack: Stack, path: str, ms: str) -> None:
    """A number that is too large, or no number, is a 422."""
    assert is_problem(await stack.get(f"{path}?ms={ms}"), 422).startswith("ms is ")


async def test_db(stack: Stack) -> None:
    """/db answers with the first row."""
    await stack.post("/api/users", {"name": new_name()})
    first = (await stack.get("/api/users?limit=1")).json()["users"][0]
    answer = await stack.get("/db")

    assert (answer.status, answer.json()) == (200, {"user": first})


@pytest.mark.parametrize("size", [0, 1, 4_096, MAX_BODY_BYTES])
@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
async def test_echo(stack: Stack, size: int, chunked: bool) -> None:
    """The body is returned unchanged, whatever its content type."""
    body = os.urandom(size)
    answer = await stack.request("POST", "/echo", [(b"content-type", b"text/x")], [body], chunked=chunked)

    assert (answer.status, answer.body) == (200, body)
    assert answer.header("content-type") == "application/octet-stream"
