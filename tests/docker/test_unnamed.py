"""nginx in its container with the script module of the official image: no response names a server."""

from collections.abc import Iterator

import pytest

from tests.docker.conftest import Containers
from tests.harness.edge import exchange, message

pytestmark = pytest.mark.timeout(300)

MODULE = "/usr/lib/nginx/modules/ngx_http_js_module.so"
# nginx's own image has the module; where Debian's build stands in for that image, Debian's module is installed.
IMAGE = f"""
FROM nginx:1.30
USER root
RUN test -e {MODULE} || (mkdir -p /etc/nginx/modules-enabled && apt-get update -qq \\
 && apt-get install -y -qq --no-install-recommends libnginx-mod-http-js && rm -r /etc/nginx/modules-enabled)
"""


@pytest.fixture(scope="module")
def scripted(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    """The stack with an nginx that has the module."""
    image, files = containers.other_nginx(IMAGE, tmp_path_factory.mktemp("image"))
    containers.compose("down")
    containers.up(COMPOSE_FILE=files)
    yield containers
    containers.compose("down")
    containers.up()
    containers.docker("image", "rm", image)


REQUESTS = {
    "proxied": (message("GET", "/version"), 200),
    "a websocket": (
        b"GET /ws/chat HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        101,
    ),
    "a file": (message("GET", "/static/app.css"), 200),
    "a part of a file": (b"GET /static/app.css HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-9\r\n\r\n", 206),
    "the app's refusal": (message("GET", "/api/users/0"), 404),
    "a private path": (message("GET", "/metrics"), 404),
    "malformed": (message("GET", "/%zz"), 400),
    "no HTTP": (b"hello\r\n\r\n", 400),
    "a method that is refused": (message("TRACE"), 405),
    "headers that are too large": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 9_000 + b"\r\n\r\n", 431),
    "too large": (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n", 413),
}


@pytest.mark.parametrize("kind", REQUESTS)
async def test_every_answer(scripted: Containers, kind: str) -> None:
    """Every response, of the app, of nginx or a file, has exactly one Server field, which names nothing."""
    data, status = REQUESTS[kind]
    answer = await exchange(("127.0.0.1", scripted.port), data)

    assert answer.status == status
    assert answer.head.lower().count(b"\r\nserver: -\r\n") == 1
    assert answer.head.lower().count(b"\r\nserver:") == 1
    assert b"nginx" not in (answer.head + answer.body).lower()


@pytest.mark.parametrize("protocol", ["2", "3-only"])
@pytest.mark.parametrize("path", ["/version", "/static/app.css", "/metrics"])
def test_newer_protocols(scripted: Containers, protocol: str, path: str) -> None:
    """The same holds over HTTP/2 and HTTP/3."""
    url = f"https://127.0.0.1:{scripted.https_port}{path}"
    command = ("run", "--rm", "--network", "host", "--entrypoint", "curl", "nginx:1.30")
    head = scripted.docker(*command, "-sSk", "-D", "-", "-o", "/dev/null", f"--http{protocol}", url)

    assert head.startswith(f"HTTP/{protocol[0]} ")
    assert head.replace("\r", "").count("\nserver: -\n") == 1
    assert head.count("\nserver:") == 1
