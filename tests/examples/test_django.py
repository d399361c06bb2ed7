"""The Django example's own: an admin login through nginx, and a websocket's message on every worker by Redis."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from http.cookies import SimpleCookie
from urllib.parse import urlencode

import pytest

from tests.examples.cases import EXAMPLES
from tests.examples.test_examples import SECONDS, Stack
from tests.harness.client import Answer, request
from tests.harness.processes import short_folder
from tests.harness.servers import redis
from tests.harness.websocket import TEXT, WebSocket
from tests.live.sites import SHORT

pytestmark = pytest.mark.timeout(180)
(DJANGO,) = (example for example in EXAMPLES if example.name == "django")
ADMIN = {f"DJANGO_SUPERUSER_{name}": value for name, value in {"USERNAME": "ada", "PASSWORD": "analytical"}.items()}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """It runs, with a user of the admin site."""
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


async def _post_login(stack: Stack, origin: str) -> Answer:
    page = await stack.get("/admin/login/")
    token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page.body.decode())[0]
    cookie = SimpleCookie(page.headers["set-cookie"])["csrftoken"].value
    form = {"username": "ada", "password": "analytical", "csrfmiddlewaretoken": token, "next": "/admin/"}
    headers = (f"Cookie: csrftoken={cookie}", f"Origin: {origin}", "Content-Type: application/x-www-form-urlencoded")
    return await request(stack.address, "POST", "/admin/login/", urlencode(form).encode(), *headers)


async def test_admin_login(stack: Stack) -> None:
    """Form and cookie from one address lead to a session; the same form from a foreign page is refused."""
    answer = await _post_login(stack, "http://localhost")
    foreign = await _post_login(stack, "http://elsewhere.example")

    assert (answer.status, answer.headers["location"]) == (302, "/admin/")
    assert "sessionid=" in answer.headers["set-cookie"]
    assert foreign.status == 403


async def test_message_reaches_every_worker(stack: Stack) -> None:
    """What one client says, clients on both workers hear."""
    sockets = [await WebSocket.open(str(stack.folder / "app" / f"slot-{slot}.sock"), "/ws") for slot in (0, 1)]
    sockets[0]._frames.send(b"ahoy")

    assert [await asyncio.wait_for(socket.frame(), SECONDS) for socket in sockets] == [(TEXT, b"ahoy")] * 2
    for socket in sockets:
        await socket.close()
