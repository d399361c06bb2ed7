"""Tests of the Django example only: an admin login through nginx, and a message that reaches every worker by Redis."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.examples.cases import EXAMPLES
from tests.examples.test_examples import SECONDS, Stack
from tests.harness.processes import short_folder
from tests.harness.servers import redis
from tests.harness.websocket import TEXT, WebSocket
from tests.live.sites import SHORT

pytestmark = pytest.mark.timeout(180)
(DJANGO,) = (example for example in EXAMPLES if example.name == "django")
ADMIN = {f"DJANGO_SUPERUSER_{name}": value for name, value in {"USERNAME": "ada", "PASSWORD": "analytical"}.items()}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """The running example, with a user of the admin site."""
    with ExitStack() as opened:
        stack = Stack(DJANGO, opened.enter_context(short_folder()))
        stack.set(**{**SHORT, "TIMEOUT": "30"}, BUS_URL=opened.enter_context(redis()).url)
        opened.callback(stack, "down")
        done = stack("up")
        assert done.returncode == 0, done.stdout + done.stderr
        command = [sys.executable, "manage.py", "createsuperuser", "--noinput"]
        env = stack.environment(**ADMIN, DJANGO_SUPERUSER_EMAIL="ada@example.com", DATA_DIR=str(stack.folder / "data"))
        subprocess.run(command, cwd=stack.root, env=env, check=True, timeout=60)
        yield stack


async def _post_login(client: httpx.AsyncClient, origin: str) -> httpx.Response:
    page = await client.get("/admin/login/")
    token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[0]
    form = {"username": "ada", "password": "analytical", "csrfmiddlewaretoken": token, "next": "/admin/"}
    return await client.post("/admin/login/", data=form, headers={"Origin": origin, "Referer": f"{origin}/"})


async def test_admin_login(client: httpx.AsyncClient) -> None:
    """A login form from the site's own address opens a session; the same form from a foreign page is refused."""
    foreign = await _post_login(client, "https://elsewhere.example")
    answer = await _post_login(client, str(client.base_url).rstrip("/"))
    inside = await client.get("/admin/")

    assert foreign.status_code == 403
    assert (answer.status_code, answer.headers["location"]) == (302, "/admin/")
    assert (inside.status_code, "Site administration" in inside.text) == (200, True)


async def test_static_files(stack: Stack, client: httpx.AsyncClient) -> None:
    """nginx serves the static files of a page under names that clients may cache for good."""
    page = await client.get("/admin/login/")
    links = re.findall(r'href="(/static/[^"]+\.css)"', page.text)
    answers = [await client.get(link) for link in links]

    assert len(links) > 1
    assert [answer.status_code for answer in answers] == [200] * len(links)
    assert {answer.headers["cache-control"] for answer in answers} == {"public, max-age=31536000, immutable"}
    assert not stack.records('"path":"/static/')


async def test_message_reaches_every_worker(stack: Stack) -> None:
    """A message of one client reaches clients on both workers."""
    sockets = [await WebSocket.open(str(stack.folder / "app" / f"slot-{slot}.sock"), "/ws") for slot in (0, 1)]
    sockets[0]._frames.send(b"ahoy")

    assert [await asyncio.wait_for(socket.frame(), SECONDS) for socket in sockets] == [(TEXT, b"ahoy")] * 2
    for socket in sockets:
        await socket.close()
