"""The stack below a prefix: ROOT_PATH changes only the place; pages, redirects, websockets and checks follow."""

import asyncio
import json
import re
from collections.abc import Iterator
from urllib.parse import urljoin

import pytest

from slipway.environment import Environment
from slipway.ops.edge import of
from slipway.paths import private_paths
from slipway.project import Project
from tests.harness.client import SECONDS, Address, request
from tests.harness.edge import exchange
from tests.harness.stack import Nginx, Server, behind_nginx, serving
from tests.harness.websocket import Frames

PREFIX = "/api/v1.0"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The shipped app, as the stack starts it: it becomes ready, so its ready path is requested below the prefix."""
    with serving(ROOT_PATH=f"{PREFIX}/", workers=1) as started:
        yield started


@pytest.fixture(scope="module")
def proxy(server: Server) -> Iterator[Nginx]:
    """The nginx before that server."""
    with behind_nginx(server, of({"ROOT_PATH": PREFIX})) as started:
        yield started


@pytest.fixture(params=["worker", "nginx"])
def address(request: pytest.FixtureRequest, server: Server) -> Address:
    """The address that a client connects to."""
    found: Address = server.address() if request.param == "worker" else request.getfixturevalue("proxy").address
    return found


async def test_every_link_of_a_page_leads_somewhere(address: Address) -> None:
    """Everything that the pages link to is found below the prefix, as a browser resolves it."""
    for page in ("/", "/chat", "/live"):
        answer = await request(address, "GET", PREFIX + page)
        assert answer.status == 200, page
        links = re.findall(r'(?:href|src)="([^"#]+)"', answer.body.decode())
        assert len(links) > 5

        for link in links:
            target = urljoin(f"http://host{PREFIX}{page}", link).removeprefix("http://host")
            assert target.startswith(f"{PREFIX}/"), (page, link)
            assert (await request(address, "GET", target)).status == 200, (page, link)


@pytest.mark.parametrize(
    "target", ["/", "/chat", "/api/users", "/api", "/api/v1", "/api/v1.0x", "/api/v1x0/", "/livez"]
)
async def test_nothing_is_served_outside(address: Address, target: str) -> None:
    """Any path outside the prefix is a 404 problem."""
    answer = await request(address, "GET", target)

    assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")
    assert json.loads(answer.body)["request_id"] == answer.headers["x-request-id"]


async def test_prefix_alone_is_redirected(address: Address) -> None:
    """The prefix alone is redirected to the path with the slash, which relative links need, with its query."""
    answer = await request(address, "GET", f"{PREFIX}?a=1")

    assert (answer.status, answer.headers["location"]) == (308, f"{PREFIX}/?a=1")


async def test_location_of_what_was_made(address: Address) -> None:
    """The location of a new user has the prefix, and leads to that user."""
    name = f"name {address}"
    body = json.dumps({"name": name}).encode()
    made = await request(address, "POST", f"{PREFIX}/api/users", body, "Content-Type: application/json")

    assert made.status == 201
    assert made.headers["location"].startswith(f"{PREFIX}/api/users/")
    assert json.loads((await request(address, "GET", made.headers["location"])).body)["name"] == name


async def test_openapi_names_the_prefix(address: Address) -> None:
    """The description names the prefix as its server, so that a tool resolves the paths correctly."""
    answer = await request(address, "GET", f"{PREFIX}/openapi.json")
    again = await request(address, "GET", f"{PREFIX}/openapi.json", b"", f"If-None-Match: {answer.headers['etag']}")

    assert [server["url"] for server in json.loads(answer.body)["servers"]] == [PREFIX]
    assert again.status == 304


async def test_health_paths_have_it(proxy: Nginx) -> None:
    """Health checks are answered below the prefix."""
    assert (await request(proxy.address, "GET", f"{PREFIX}/readyz")).status == 200


def test_private_paths_have_it() -> None:
    """The paths that nginx does not pass on are below the prefix, too."""
    project = Project("own:app", private_paths=("/internal",))

    assert private_paths(Environment({"ROOT_PATH": PREFIX}), project) == (f"{PREFIX}/internal",)


async def test_checks_of_the_stack_itself(server: Server) -> None:
    """The container's health check and a reload, which both request the ready path, find it."""
    assert await server.ctl("ready") == (0, "")
    assert (await server.reload())[0] == 0


async def test_scope_is_as_asgi_has_it() -> None:
    """In the scope `path` and `raw_path` are whole, and `root_path` is the prefix."""
    app = serving("tests.live.scopes:application", workers=1, PRESTART="none", ROOT_PATH="/a/b")
    with app as server, behind_nginx(server, of({"ROOT_PATH": "/a/b"})) as proxy:
        seen = json.loads((await exchange(proxy.address, b"GET /a/b/c%2Fd?e HTTP/1.1\r\nHost: a\r\n\r\n")).body)

    assert (seen["root_path"], seen["path"], seen["raw_path"]) == ("/a/b", "/a/b/c/d", "/a/b/c%2Fd")


async def test_websocket(address: Address) -> None:
    """A websocket is opened below the prefix, and nowhere else."""
    came: asyncio.Queue[bytes] = asyncio.Queue()
    socket = await Frames.open(address, f"{PREFIX}/ws/echo", lambda opcode, payload: came.put_nowait(payload))
    socket.send(b"hello")
    async with asyncio.timeout(SECONDS):
        assert await came.get() == b"hello"
    socket.transport.close()

    with pytest.raises(ConnectionError, match="404"):
        await Frames.open(address, "/ws/echo", lambda opcode, payload: None)
