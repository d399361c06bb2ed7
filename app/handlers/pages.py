"""The pages and their assets, read once at import, and the small files that clients request from every site."""

import json
import platform
from hashlib import sha256
from pathlib import Path

from app import __version__
from app.asgi.errors import HTTPError
from app.asgi.request import Request
from app.asgi.response import Response
from app.asgi.types import Header

FOLDER = Path(__file__).parent.parent / "pages"
TYPES = {
    ".css": b"text/css; charset=utf-8",
    ".html": b"text/html; charset=utf-8",
    ".ico": b"image/x-icon",
    ".js": b"text/javascript; charset=utf-8",
    ".json": b"application/json",
    ".svg": b"image/svg+xml",
    ".txt": b"text/plain; charset=utf-8",
}
# Cached, but revalidated on each use: a deployed change shows at once, and an unchanged file costs a 304.
REVALIDATE = (b"cache-control", b"no-cache")


class File:
    """A file of `app/pages`, with its type and an ETag (RFC 9110 section 8.8.3)."""

    def __init__(self, path: Path) -> None:
        self._type = TYPES[path.suffix]
        self.set_body(path.read_bytes())

    def set_body(self, body: bytes) -> None:
        """Set the content and the headers that depend on it."""
        self.body = body
        self.etag = b'"%s"' % sha256(self.body).hexdigest()[:16].encode()
        self.headers: tuple[Header, ...] = (
            (b"content-type", self._type),
            (b"etag", self.etag),
            REVALIDATE,
        )

    def answer(self, request: Request) -> Response:
        """Return the file, or 304 if the client has it already."""
        known = (request.header(b"if-none-match") or b"").replace(b"W/", b"").replace(b" ", b"").split(b",")
        if self.etag in known or b"*" in known:
            return Response(status=304, headers=self.headers[1:])
        return Response(self.body, headers=self.headers)


class Description(File):
    """`openapi.json`, which names the path prefix under which the app is served."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._path = path
        self._below: dict[str, File] = {}

    def answer(self, request: Request) -> Response:
        prefix: str = request.scope.get("root_path", "")
        if not prefix:
            return super().answer(request)
        if prefix not in self._below:
            self._below = {prefix: self._with(prefix)}
        return self._below[prefix].answer(request)

    def _with(self, prefix: str) -> File:
        described = json.loads(self.body)
        for server in described["servers"]:
            server["url"] = prefix
        file = File(self._path)
        file.set_body(json.dumps(described).encode())
        return file


FILES = {path.name: File(path) for path in FOLDER.iterdir() if path.suffix in TYPES}
DESCRIPTION = Description(FOLDER / "openapi.json")


async def home(request: Request) -> Response:
    return FILES["index.html"].answer(request)


async def chat(request: Request) -> Response:
    return FILES["chat.html"].answer(request)


async def live(request: Request) -> Response:
    return FILES["live.html"].answer(request)


async def static(request: Request) -> Response:
    """Return a style sheet, script or picture by its name."""
    file = FILES.get(request.params["name"])
    if file is None:
        raise HTTPError(404, "There is no such file.")
    return file.answer(request)


async def favicon(request: Request) -> Response:
    return FILES["favicon.ico"].answer(request)


async def robots(request: Request) -> Response:
    return FILES["robots.txt"].answer(request)


async def openapi(request: Request) -> Response:
    return DESCRIPTION.answer(request)


async def version(request: Request) -> Response:
    body = {
        "name": "slipway",
        "version": __version__,
        "commit": request.state["commit"],
        "python": platform.python_version(),
    }
    return Response.json(body, headers=(REVALIDATE,))
