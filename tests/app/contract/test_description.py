"""`openapi.json` and the running app: each described status of each operation is provoked and compared.

In the other direction, every answer in a contract test is compared with the description (described.py).
"""

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import pytest

from tests.app.contract.described import DOCUMENT, untruths
from tests.app.contract.stacks import VARIABLES
from tests.harness.client import Connection, request
from tests.harness.driver import Answer
from tests.harness.processes import pause
from tests.harness.stack import Server, behind_nginx, serving
from tests.live.test_edge_refusals import BYTES

SECONDS = 20.0
LADDER = {"LAME_DUCK_SECONDS": "8", "DRAIN_SECONDS": "1.5", "GRACEFUL_TIMEOUT": "4", "STOP_GRACE_PERIOD": "30"}
USERS, USER, FILE = "/api/users", "/api/users/{id}", "/static/{name}"
HEALTH = ("/livez", "/readyz", "/healthz")
JSON, KNOWN = "Content-Type: application/json", "If-None-Match: *"

Asked = tuple[str, str, bytes, Sequence[str]]  # method, target, body, fields


def get(target: str, *fields: str) -> Asked:
    return "GET", target, b"", fields


def post(body: bytes, kind: str = JSON) -> Asked:
    return "POST", USERS, body, [kind]


# The requests that provoke a status, unless a plain request, a wrong method or a known copy does.
PROVOKED: dict[tuple[str, str, int], Asked] = {
    ("get", USERS, 400): get(f"{USERS}?name=%FF"),
    ("get", USERS, 422): get(f"{USERS}?limit=0"),
    ("post", USERS, 201): post(b'{"name": "Ada"}'),
    ("post", USERS, 400): post(b'{"name": "Ada'),
    ("post", USERS, 409): post(b'{"name": "first"}'),
    ("post", USERS, 413): post(b'{"name": "%s"}' % (b"a" * 20_000)),
    ("post", USERS, 415): post(b"name=Ada", "Content-Type: application/x-www-form-urlencoded"),
    ("post", USERS, 422): post(b'{"name": ""}'),
    ("get", USER, 404): get(f"{USERS}/999999"),
    ("delete", USER, 204): ("DELETE", f"{USERS}/2", b"", []),
    ("delete", USER, 404): ("DELETE", f"{USERS}/999999", b"", []),
    ("get", FILE, 404): get("/static/nothing.css"),
    ("get", "/events", 400): get("/events?after=yesterday"),
}
DESCRIBED = [
    (method, path, int(status))
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if method != "parameters"
    for status in operation["responses"]
]


def asked_for(method: str, path: str, status: int) -> Asked:
    """Return a request that an idle worker answers with this status."""
    target = path.format(name="app.css", id=1)
    if (known := PROVOKED.get((method, path, status))) is not None:
        return known
    if status == 405:
        return "PATCH", target, b"", []
    return method.upper(), target, b"", [KNOWN] if status == 304 else []


async def ask(server: Server, asked: Asked) -> Answer:
    """Return the worker's answer; of a stream only its head."""
    method, target, body, fields = asked
    async with asyncio.timeout(SECONDS), await Connection.open(server.address()) as connection:
        connection.send(method, target, body, *fields)
        status, found = await connection.head()
        content = await connection.reader.readexactly(int(found.get("content-length", 0)))
    return Answer(status, [(name.encode(), value.encode()) for name, value in found.items()], content)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with two users."""
    with serving(workers=1, **VARIABLES) as started:
        for name in (b"first", b"second"):
            assert asyncio.run(ask(started, post(b'{"name": "%s"}' % name))).status == 201
        yield started


@pytest.fixture(scope="module")
def full() -> Iterator[Server]:
    """A server that allows one request at a time."""
    with serving(workers=1, MAX_REQUESTS_IN_FLIGHT="1", **VARIABLES) as started:
        yield started


@asynccontextmanager
async def busy(server: Server) -> AsyncIterator[None]:
    """Keep one request running meanwhile."""
    async with await Connection.open(server.address()) as connection:
        connection.send("GET", "/wait?ms=3000")
        async with asyncio.timeout(SECONDS):
            while (await request(server.address(), "GET", "/version")).status != 503:
                await pause()
        yield


@pytest.mark.parametrize(("method", "path", "status"), [each for each in DESCRIBED if each[-1] != 503])
async def test_described_answers(server: Server, method: str, path: str, status: int) -> None:
    """Each described answer occurs, with the described type, header fields and content."""
    asked = asked_for(method, path, status)
    answer = await ask(server, asked)

    assert answer.status == status
    assert untruths(asked[0], asked[1], answer) == []


async def test_no_capacity_left(full: Server) -> None:
    """Each operation with a described 503 gives it, but for health checks, and no other operation does."""
    operations = {(method, path) for method, path, _ in DESCRIBED}
    async with busy(full):
        answers = {each: await ask(full, asked_for(*each, 0)) for each in operations}

    assert {each for each, answer in answers.items() if answer.status == 503} == {
        (method, path) for method, path, status in DESCRIBED if status == 503 and path not in HEALTH
    }
    for (method, path), answer in answers.items():
        assert untruths(method.upper(), path.format(name="app.css", id=1), answer) == [], path


def test_what_nginx_answers_itself() -> None:
    """The document names each status that nginx itself answers; the edge's tests provoke every one."""
    paragraph = next(text for text in DOCUMENT["info"]["description"].split("\n\n") if text.startswith("In front"))
    named = {int(number) for number in re.findall(r"\b[45]\d\d\b", paragraph)} - {500}
    provoked = {status for status, _ in BYTES.values()}

    assert named == provoked | {421, 429, 502, 503, 504}  # by settings, limits and workers


async def test_not_ready() -> None:
    """A stopping worker is alive and not ready."""
    with serving(workers=1, READY_PATH="/readyz", **VARIABLES, **LADDER) as server:
        server.signal(signal.SIGTERM)
        async with asyncio.timeout(SECONDS):
            while (await ask(server, get("/readyz"))).status != 503:
                pass
        answers = {path: await ask(server, get(path)) for path in HEALTH}

    assert {path: answer.status for path, answer in answers.items()} == {
        "/livez": 200, "/readyz": 503, "/healthz": 503
    }  # fmt: skip
    assert [problem for path, answer in answers.items() for problem in untruths("GET", path, answer)] == []


@pytest.mark.suite
@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", ["worker", "nginx"])
def test_schemathesis(way: str) -> None:
    """Any request derived from the description, valid or not, is answered as described; event streams are left out."""
    with serving(slots="tcp") as server, behind_nginx(server) as nginx:
        url = nginx.url if way == "nginx" else server.url
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", "--exclude-path=/events"]
        options = ["--generation-deterministic", "--max-examples=100", "--continue-on-failure", "--request-timeout=10"]
        done = subprocess.run([*command, *options], capture_output=True, text=True, cwd=server.folder)

    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-2_000:]
