"""The pages, the small files, and health."""

import json
import re

import pytest

from tests.app.contract.stacks import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

FILES = {
    "/": "text/html; charset=utf-8",
    "/chat": "text/html; charset=utf-8",
    "/live": "text/html; charset=utf-8",
    "/static/app.css": "text/css; charset=utf-8",
    "/favicon.ico": "image/x-icon",
    "/robots.txt": "text/plain; charset=utf-8",
    "/openapi.json": "application/json",
}


@pytest.mark.parametrize(("path", "kind"), FILES.items())
async def test_file(stack: Stack, path: str, kind: str) -> None:
    """A file has its type and a tag, and caches must revalidate it."""
    answer = await stack.get(path)

    assert answer.status == 200
    assert answer.header("content-type") == kind
    assert answer.header("cache-control") == "no-cache"
    assert re.fullmatch(r'"[0-9a-f]{16}"|"[0-9a-f]+-[0-9a-f]+"', answer.header("etag") or "")
    assert len(answer.body) == int(answer.header("content-length") or -1)


@pytest.mark.parametrize("path", FILES)
async def test_file_that_the_client_has(stack: Stack, path: str) -> None:
    """A client that has the current file gets a 304; a client with another version gets the file."""
    etag = ((await stack.get(path)).header("etag") or "").encode()
    same = await stack.get(path, (b"if-none-match", etag))
    weak = await stack.get(path, (b"if-none-match", b'"x", W/' + etag))
    other = await stack.get(path, (b"if-none-match", b'"x"'))

    assert (same.status, same.body, weak.status, other.status) == (304, b"", 304, 200)
    assert (same.header("etag"), same.header("cache-control")) == (etag.decode(), "no-cache")


async def test_compressed_file(stack: Stack) -> None:
    """Compressed or not, a file has the same tag."""
    plain = await stack.get("/static/app.css")
    etag = (await stack.get("/static/app.css", (b"accept-encoding", b"gzip"))).header("etag") or ""
    again = await stack.get("/static/app.css", (b"accept-encoding", b"gzip"), (b"if-none-match", etag.encode()))

    assert etag.removeprefix("W/") == plain.header("etag")
    assert again.status == 304


async def test_version(stack: Stack) -> None:
    """/version describes the running version."""
    answer = await stack.get("/version")

    assert (answer.status, answer.header("content-type")) == (200, "application/json")
    assert set(answer.json()) == {"name", "version", "commit", "python"}
    assert answer.header("cache-control") == "no-cache"


async def test_openapi(stack: Stack) -> None:
    """The API's description is JSON."""
    assert "/api/users" in (await stack.get("/openapi.json")).json()["paths"]


async def test_livez(stack: Stack) -> None:
    """/livez says that the worker is alive, and its answer is never cached."""
    answer = await stack.get("/livez")

    assert (answer.status, answer.json()) == (200, {"status": "pass"})
    assert answer.header("cache-control") == "no-store"


@pytest.mark.parametrize("path", ["/readyz", "/healthz"])
async def test_readyz(stack: Stack, path: str) -> None:
    """/readyz says that the worker can serve and names each dependency, and its answer is never cached."""
    answer = await stack.get(path)

    assert answer.status == 200
    assert answer.header("cache-control") == "no-store"
    assert answer.json()["status"] == "pass"
    assert {"database", "bus", "draining"} <= set(answer.json()["checks"])
    assert set(answer.json()["checks"].values()) == {"pass"}
    assert set(answer.json()["worker"]) == {"slot", "pid"}


async def test_health_is_not_recorded(stack: Stack) -> None:
    """Health checks are not recorded; every other request is, under the id of its answer."""
    if not (stack.records and stack.log):
        pytest.skip("the access record is the server's")
    quiet = (await stack.get("/livez")).header("x-request-id") or ""
    noted = (await stack.get("/version")).header("x-request-id") or ""
    for _ in range(100):  # makes nginx write its buffered lines, which it otherwise does once a second
        await stack.get("/livez")

    assert quiet not in stack.log
    (record,) = [json.loads(line) for line in stack.log.splitlines() if noted in line and '"logger":"access"' in line]
    assert (record["method"], record["path"], record["status"]) == ("GET", "/version", 200)
