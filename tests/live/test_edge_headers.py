"""What nginx adds to answers: on which, and that an app's own values pass and are not doubled."""

from collections.abc import Iterator

import pytest

from slipway.ops import nginx
from tests.harness.edge import Edge, RawAnswer, exchange, message, says, slots
from tests.harness.processes import running, short_folder

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
    """Each error page has every one, once."""
    answer = await exchange(edge.address, data)

    assert answer.status == status
    for name, value in OURS.items():
        assert value in answer.fields[name]
        assert counted(answer, name) == 1


@pytest.mark.parametrize("status", [b"200 OK", b"201 Created", b"404 Not Found", b"500 Oops", b"503 Busy"])
async def test_answers_of_the_app(status: bytes) -> None:
    """Whatever the app answers."""
    behaviour = says(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\nX-Powered-By: x/1\r\nServer: y/2\r\n\r\nno")
    with short_folder() as folder:
        async with slots(folder, [behaviour]):
            with running(Edge(folder)) as edge:
                answer = await exchange(edge.address, message("POST", "/", b"x"))

    assert answer.status == int(status[:3])
    assert answer.fields.keys() >= OURS.keys()
    assert "x-powered-by" not in answer.fields
    assert b"y/2" not in answer.head


@pytest.mark.parametrize("name", [*OURS, "strict-transport-security"])
async def test_an_apps_own(name: str) -> None:
    """It passes as it is, alone, and the others stay."""
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
    version = ".".join(map(str, nginx.version()))
    answer = await exchange(edge.address, message("GET"))

    assert version.encode() not in answer.head + answer.body


async def test_policy_is_strict(edge: Edge) -> None:
    """Nothing by default, the rest from this site alone, and nothing unsafe."""
    answer = await exchange(edge.address, message("GET"))
    directives = dict(part.strip().split(" ", 1) for part in answer.fields["content-security-policy"].split(";"))

    assert directives.pop("default-src") == directives.pop("frame-ancestors") == "'none'"
    assert {*directives.values()} == {"'self'"}
