"""The WSGI baseline is a WSGI app by PEP 3333; tests/app/contract tests that it answers as the ASGI app does."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from app import wsgi
from app.config import AppSettings
from app.migrate import migrate
from app.services.database import sync_engine
from app.wsgi import Application

Headers = dict[str, str]
Failure = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


@pytest.fixture
def application(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Application]:
    settings = AppSettings.from_environment({"DATA_DIR": str(folder), "BENCH_ENDPOINTS": "1"})
    migrate(settings.database_url)
    engine = sync_engine(settings.database_url)
    monkeypatch.setattr(wsgi, "sync_engine", lambda *arguments: engine)
    yield Application(settings)
    engine.dispose()


def ask(application: Application, method: str, path: str, body: bytes = b"", **more: str) -> tuple[str, Headers, bytes]:
    """Send one request; check both sides against the specification."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        **more,
    }
    environ |= {"CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": "application/json", "wsgi.input": io.BytesIO(body)}
    setup_testing_defaults(environ)
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], failure: Failure | None = None) -> Any:
        started.append((status, headers))
        return lambda data: None

    answer = validator(application)(environ, start_response)
    content = b"".join(answer)
    answer.close()  # type: ignore[attr-defined]
    ((status, headers),) = started
    assert len({name.lower() for name, _ in headers}) == len(headers), headers
    return status, dict(headers), content


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/readyz", b"", "200 OK"),
        ("GET", "/api/users", b"", "200 OK"),
        ("HEAD", "/api/users", b"", "200 OK"),
        ("OPTIONS", "/api/users", b"", "204 No Content"),
        ("POST", "/api/users", b'{"name":"Ann"}', "201 Created"),
        ("POST", "/api/users", b"{", "400 Bad Request"),
        ("GET", "/api/users/1", b"", "404 Not Found"),
        ("DELETE", "/api/users/1", b"", "404 Not Found"),
        ("PUT", "/api/users/1", b"", "405 Method Not Allowed"),
        ("GET", "/plaintext", b"", "200 OK"),
        ("GET", "/json", b"", "200 OK"),
        ("GET", "/wait", b"", "200 OK"),
        ("GET", "/cpu", b"", "200 OK"),
        ("GET", "/db", b"", "200 OK"),
        ("POST", "/echo", b"x", "200 OK"),
        ("GET", "/\xc3\xbc", b"", "404 Not Found"),
        ("GET", "/\xff", b"", "404 Not Found"),
    ],
)
def test_answer(application: Application, method: str, path: str, body: bytes, status: str) -> None:
    """Every answer follows PEP 3333, repeats no header, and has its length."""
    answered, headers, content = ask(application, method, path, body)

    assert answered == status
    assert "x-request-id" in headers
    assert ("content-length" in headers) == (not status.startswith("204"))
    if method != "HEAD":
        assert len(content) == int(headers.get("content-length", "0"))


def test_request_id(application: Application) -> None:
    """A valid id of the caller is kept, and is in the body of an error."""
    _, headers, content = ask(application, "GET", "/nothing", HTTP_X_REQUEST_ID="my-id.1")

    assert headers["x-request-id"] == json.loads(content)["request_id"] == "my-id.1"


def test_no_bench_routes_by_default(folder: Path) -> None:
    """The benchmark's routes exist only if a setting enables them."""
    application = Application(AppSettings.from_environment({"DATA_DIR": str(folder)}))

    assert ask(application, "GET", "/plaintext")[0] == "404 Not Found"
