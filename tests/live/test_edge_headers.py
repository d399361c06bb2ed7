"""The headers that nginx adds: to which answers, and that an app's own values pass without duplicates."""

import asyncio
import ssl
import subprocess
from collections.abc import Iterator
from email.utils import formatdate

import pytest

from slipway.ops import nginx, nginx_build
from slipway.ops.edge import EdgeSettings
from slipway.ops.https import CERTIFICATE, HttpsSettings
from slipway.ops.settings import ROOT
from slipway.ops.site import SiteSettings
from tests.harness.edge import Edge, RawAnswer, exchange, message, says, slots
from tests.harness.processes import running, short_folder
from tests.harness.stack import secure

OURS = {
    "content-security-policy": "default-src 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "permissions-policy": "geolocation=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@pytest.fixture(scope="module")
def edge() -> Iterator[Edge]:
    """An nginx without a worker."""
    with short_folder() as path, running(Edge(path)) as started:
        yield started


def counted(answer: RawAnswer, name: str) -> int:
    return answer.head.lower().count(b"\r\n" + name.encode() + b":")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (message("GET"), 502),
        (message("GET", "/metrics"), 404),
        (message("GET", "/%zz"), 400),
        (message("POST", "/", b"x" * 2_000), 413),
        (message("TRACE"), 405),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 9_000 + b"\r\n\r\n", 431),
    ],
)
async def test_errors_of_nginx(edge: Edge, data: bytes, status: int) -> None:
    """Each error page has every header exactly once."""
    answer = await exchange(edge.address, data)

    assert answer.status == status
    for name, value in OURS.items():
        assert value in answer.fields[name]
        assert counted(answer, name) == 1


@pytest.mark.parametrize("status", [b"200 OK", b"201 Created", b"404 Not Found", b"500 Oops", b"503 Busy"])
async def test_answers_of_the_app(status: bytes) -> None:
    """Every answer of the app has the headers, whatever its status."""
    behaviour = says(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\nX-Powered-By: x/1\r\nServer: y/2\r\n\r\nno")
    with short_folder() as folder:
        async with slots(folder, [behaviour]):
            with running(Edge(folder)) as edge:
                answer = await exchange(edge.address, message("POST", "/", b"x"))

    assert answer.status == int(status[:3])
    assert answer.fields.keys() >= OURS.keys()
    assert "x-powered-by" not in answer.fields
    assert "server" not in answer.fields


@pytest.mark.parametrize("name", [*OURS, "strict-transport-security"])
async def test_an_apps_own(name: str) -> None:
    """An app's own value passes unchanged and alone, and the other headers stay."""
    behaviour = says(f"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{name}: own value\r\n\r\nok".encode())
    with short_folder() as folder:
        async with slots(folder, [behaviour]):
            with running(Edge(folder)) as edge:
                answer = await exchange(edge.address, message("GET"))

    assert answer.fields[name] == "own value"
    assert counted(answer, name) == 1
    assert answer.fields.keys() >= OURS.keys()


async def test_no_version(edge: Edge) -> None:
    """No answer names a version."""
    version = ".".join(map(str, nginx_build.version()))
    answer = await exchange(edge.address, message("GET"))

    assert version.encode() not in answer.head + answer.body


ANSWERS: dict[str, tuple[bytes, int]] = {
    "no worker": (message("GET"), 502),
    "no path": (message("GET", "/metrics"), 404),
    "malformed": (message("GET", "/%zz"), 400),
    "too large": (message("POST", "/", b"x" * 2_000), 413),
    "a method that is refused": (message("TRACE"), 405),
    "headers that are too large": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 9_000 + b"\r\n\r\n", 431),
    "a file": (message("GET", "/static/app.css"), 200),
    "a file that is known": (b"GET /static/app.css HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: %s\r\n\r\n", 304),
    "security.txt": (message("GET", "/.well-known/security.txt"), 200),
    "no host that is served": (message("GET").replace(b"localhost", b"elsewhere"), 421),
}


@pytest.fixture(scope="module", params=["with the module", "without"])
def serving_all(request: pytest.FixtureRequest) -> Iterator[tuple[Edge, HttpsSettings, bool]]:
    """An nginx with every kind of answer, with and without the module that removes `Server`."""
    without = request.param == "without"
    site = SiteSettings((("/static/", "app/pages"),), contacts=("mailto:a@b.example",))
    with short_folder() as folder:
        https = secure(folder)
        edge = Edge(
            folder, https=https, site=site, files=ROOT, settings=EdgeSettings(allowed_hosts=("localhost", "a")),
            modules_dir=nginx.NOWHERE if without else None,
        )  # fmt: skip
        with running(edge):
            yield edge, https, without


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("kind", ANSWERS)
async def test_no_server_is_named(serving_all: tuple[Edge, HttpsSettings, bool], kind: str, tls: bool) -> None:
    """With the module headers-more no answer has a Server field; without it each says `nginx`, and no version."""
    edge, https, without = serving_all
    data, status = ANSWERS[kind]
    modified = formatdate((ROOT / "app/pages/app.css").stat().st_mtime, usegmt=True).encode()
    context = ssl.create_default_context(cafile=https.folder / CERTIFICATE) if tls else None
    address = ("localhost", https.port) if tls else edge.address
    answer = await exchange(address, data.replace(b"%s", modified), tls=context)

    assert answer.status == status
    assert answer.fields.get("server") == ("nginx" if without else None)


@pytest.mark.parametrize("path", ["/", "/metrics", "/static/app.css"])
async def test_no_server_is_named_by_http_2(serving_all: tuple[Edge, HttpsSettings, bool], path: str) -> None:
    """The same holds over HTTP/2."""
    _, https, without = serving_all
    command = ["curl", "-sSk", "--http2", "-D", "-", "-o", "/dev/null", f"https://localhost:{https.port}{path}"]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=20, check=True)

    assert done.stdout.startswith("HTTP/2 ")
    assert ("server: nginx\n" in done.stdout.replace("\r", "")) == without
    assert ("server:" in done.stdout) == without


async def test_no_server_is_named_in_a_redirect() -> None:
    """The redirect to HTTPS does not have the Server field either."""
    with short_folder() as folder, running(Edge(folder, https=secure(folder, redirect=True))) as edge:
        answer = await exchange(edge.address, message("GET"))

    assert answer.status == 308
    assert "server" not in answer.fields


async def test_policy_is_strict(edge: Edge) -> None:
    """The policy allows nothing by default, everything else from this site only, and nothing unsafe."""
    answer = await exchange(edge.address, message("GET"))
    directives = dict(part.strip().split(" ", 1) for part in answer.fields["content-security-policy"].split(";"))

    assert directives.pop("default-src") == directives.pop("frame-ancestors") == "'none'"
    assert {*directives.values()} == {"'self'"}
