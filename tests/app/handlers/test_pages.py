"""The pages and files: their types, and the 304 for a browser with a current copy."""

from pathlib import Path

import pytest

from app import __version__
from app.asgi.middleware import Errors
from app.asgi.routing import Router
from app.asgi.standalone import Standalone
from app.asgi.types import Header
from app.handlers.pages import FOLDER
from app.main import ROUTES
from tests.harness.driver import Answer, request

APP = Standalone(Errors(Router(ROUTES, max_body_bytes=1)))
FILES = sorted(FOLDER.iterdir())


def content(path: Path) -> bytes:
    return path.read_bytes()


async def get(target: str, *headers: Header, method: str = "GET") -> Answer:
    return await request(APP, method, target, headers, state={"commit": "abc123"})


@pytest.mark.parametrize(
    ("target", "name", "kind"),
    [
        ("/", "index.html", "text/html; charset=utf-8"),
        ("/chat", "chat.html", "text/html; charset=utf-8"),
        ("/live", "live.html", "text/html; charset=utf-8"),
        ("/favicon.ico", "favicon.ico", "image/x-icon"),
        ("/robots.txt", "robots.txt", "text/plain; charset=utf-8"),
        ("/openapi.json", "openapi.json", "application/json"),
    ],
)
async def test_page(target: str, name: str, kind: str) -> None:
    """Each page has its type, may be cached, and must be revalidated."""
    answer = await get(target)

    assert (answer.status, answer.body) == (200, content(FOLDER / name))
    assert answer.header("content-type") == kind
    assert answer.header("cache-control") == "no-cache"
    assert answer.header("etag")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
async def test_static(path: Path) -> None:
    """Every file in the folder is served under its name."""
    answer = await get(f"/static/{path.name}")

    assert (answer.status, answer.body) == (200, content(path))


@pytest.mark.parametrize("name", ["nothing.css", "..", "%2e%2e", "INDEX.HTML", "index.html%00", "__init__.py"])
async def test_no_such_file(name: str) -> None:
    """Any other name is a 404."""
    assert (await get(f"/static/{name}")).status == 404


@pytest.mark.parametrize("path", ["../pages.py", "..%2fpages.py", "%2fetc%2fpasswd", ""])
async def test_no_way_out_of_the_folder(path: str) -> None:
    """A path that leads out of the folder, or to the folder itself, is a 404."""
    assert (await get(f"/static/{path}")).status == 404


@pytest.mark.parametrize("given", ["{}", "W/{}", '"x", {}', '"x",{} , "y"', "*"])
async def test_not_modified(given: str) -> None:
    """A client that names the file's tag gets a 304."""
    etag = (await get("/")).header("etag") or ""
    answer = await get("/", (b"if-none-match", given.format(etag).encode()))

    assert (answer.status, answer.body) == (304, b"")
    assert answer.header("etag") == etag
    assert answer.header("cache-control") == "no-cache"
    assert answer.header("content-type") is None
    assert answer.header("content-length") is None


@pytest.mark.parametrize("given", ['"x"', "", "W/", "etag", "\xff"])
async def test_modified(given: str) -> None:
    """A client that names another tag gets the file."""
    assert (await get("/", (b"if-none-match", given.encode("latin-1")))).status == 200


async def test_tags_differ() -> None:
    """Two files have different tags."""
    tags = {(await get(f"/static/{path.name}")).header("etag") for path in FILES}

    assert len(tags) == len({content(path) for path in FILES})


async def test_head() -> None:
    """HEAD has the headers of GET."""
    answer, full = await get("/", method="HEAD"), await get("/")

    assert answer.body == b""
    assert answer.header("content-length") == str(len(full.body))
    assert answer.header("etag") == full.header("etag")


async def test_version() -> None:
    """/version names the version and the commit."""
    answer = await get("/version")

    assert answer.json()["version"] == __version__
    assert answer.json()["commit"] == "abc123"
    assert answer.header("cache-control") == "no-cache"


@pytest.mark.parametrize("page", [path for path in FILES if path.suffix == ".html"], ids=lambda path: path.name)
def test_pages_name_only_files_that_exist(page: Path) -> None:
    """Every file that a page links to exists."""
    for part in page.read_text().split("/static/")[1:]:
        assert (FOLDER / part.partition('"')[0]).is_file(), part[:40]
