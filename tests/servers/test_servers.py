"""The same app under other servers: the behaviour of each is measured, and docs/servers.md agrees."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from slipway.ops import wait
from tests.harness.client import request
from tests.harness.processes import Process, children, free_ports, short_folder, until
from tests.harness.stack import APP, app_environment
from tests.harness.websocket import CUT, TEXT, Frames, WebSocket
from tests.servers.table import NO_CLOSE, SERVERS, Behaviour, rendered, shown

pytestmark = [pytest.mark.timeout(300), pytest.mark.suite]  # five other servers, several times
PROBE = "tests.servers.probe:application"
SECONDS = 30.0
WORKERS = 2  # daphne has one
COMMANDS = {
    "gunicorn with UvicornWorker": "gunicorn -k uvicorn.workers.UvicornWorker --bind 127.0.0.1:{port} {app}",
    "uvicorn": "uvicorn --port {port} --workers 2 {app}",
    "hypercorn": "hypercorn --bind 127.0.0.1:{port} --workers 2 {app}",
    "daphne": "daphne --bind 127.0.0.1 --port {port} {app}",
    "granian": "granian --interface asgi --host 127.0.0.1 --port {port} --workers 2 --respawn-failed-workers {app}",
    "gunicorn with asgi": "gunicorn -k asgi --bind 127.0.0.1:{port} {app}",
}


class Other(Process):
    """A server with two workers if it can have several."""

    def __init__(self, name: str, folder: Path, app: str = PROBE) -> None:
        self.name = name
        self.port = free_ports()
        self.address = ("127.0.0.1", self.port)
        self.arrived = folder / "arrived"  # created by the app when a request to /slow has arrived
        settings = {"WEB_CONCURRENCY": "2", "APP": app} if name.startswith("gunicorn") else {}
        command = COMMANDS[name].format(port=self.port, app=app).split()
        super().__init__(command, folder / "log", {**app_environment(folder), "ARRIVED": str(self.arrived), **settings})

    @property
    def ready(self) -> bool:
        return wait.get(f"http://127.0.0.1:{self.port}/")[0] > 0

    async def all_answer(self) -> None:
        """Wait until each worker answers: a signal during the start of one would show another behaviour."""
        answered: set[str] = set()
        async with asyncio.timeout(SECONDS):
            while len(answered) < (1 if self.name == "daphne" else WORKERS):
                answered.add((await self.words())[0])

    async def words(self) -> list[str]:
        return (await request(self.address, "GET", "/")).body.decode().split(" ")


@pytest.fixture(scope="module", params=COMMANDS)
def server(request: pytest.FixtureRequest) -> Iterator[Other]:
    """A running server with the probe, which test_behaviour ends."""
    with short_folder() as folder:
        other = Other(request.param, folder)
        with _ended(other):
            yield other


class _ended:  # noqa: N801 (reads as a function)
    """A context that starts a server, and at the end stops it and kills the processes that it left."""

    def __init__(self, server: Other) -> None:
        self._server = server

    def __enter__(self) -> Other:
        self._server.start()
        self._server.until_ready()
        return self._server

    def __exit__(self, *error: object) -> None:
        left = children(self._server.pid)
        if self._server.code is None:
            self._server.stop()
        for pid in left:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)


async def measured(server: Other) -> Behaviour:
    """Measure the whole row; the last step ends the server."""
    words = await server.words()
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_version}", "--http2-prior-knowledge", "--max-time", "5"]
    curl = await asyncio.to_thread(subprocess.run, [*command, f"http://127.0.0.1:{server.port}/"], capture_output=True)
    return Behaviour(
        http2="yes" if curl.stdout == b"2" else "no",
        lifespan="yes" if words[1] == "True" else "no",
        state="yes" if words[2] == "here" else "no",
        refusal=str(await _refusal(server)),
        deflate=await _deflate(server),
        on_kill=await _after_kill(server),
        on_hup=await _after_hup(server),
        on_stop_websocket=await _close_after_term(server.name),
        **await _after_term(server),
    )


async def _refusal(server: Other) -> int:
    try:
        await WebSocket.open(server.address, "/refused")
    except ConnectionError as error:
        return int(str(error).split()[-1])
    return 101


async def _deflate(server: Other) -> str:
    reader, writer = await asyncio.open_connection(*server.address)
    lines = ["GET / HTTP/1.1", "Host: localhost", "Connection: Upgrade", "Upgrade: websocket"]
    lines += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="]
    writer.write("\r\n".join([*lines, "Sec-WebSocket-Extensions: permessage-deflate", "\r\n"]).encode())
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SECONDS)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return "yes" if b"permessage-deflate" in head else "no"


async def _after_kill(server: Other) -> str:
    pid = int((await server.words())[0])
    if pid == server.pid:
        return "is the server itself"
    os.kill(pid, signal.SIGKILL)
    if await _ends(server):
        return "ends the server"
    return "replaced" if await _others(server, {pid}) else "not replaced"


async def _ends(server: Other) -> bool:
    """Return whether the server ends within 2 s; if so, start it again."""
    with suppress(TimeoutError):
        await until(lambda: server.code is not None, 2.0)
        server.start()
        await asyncio.to_thread(server.until_ready)
        return True
    return False


async def _after_hup(server: Other) -> str:
    before = {int((await server.words())[0]) for _ in range(10)}
    server.signal(signal.SIGHUP)
    if await _ends(server):
        return "ends it"
    return "replaces its workers" if await _others(server, before) else "does nothing"


async def _others(server: Other, before: set[int]) -> bool:
    """Return whether, within SECONDS, all answers come from workers other than those before."""
    with suppress(TimeoutError):
        async with asyncio.timeout(SECONDS):
            while True:
                with suppress(OSError, EOFError):
                    answered = {int((await server.words())[0]) for _ in range(10)}
                    if not answered & before:
                        return True
    return False


async def _after_term(server: Other) -> dict[str, str]:
    """Send SIGTERM during a request, without a websocket, for which some servers would wait; return what happens."""
    slow = asyncio.create_task(request(server.address, "GET", "/slow"))
    await until(server.arrived.exists, SECONDS, "the request")
    server.signal(signal.SIGTERM)
    try:
        answered = "answered" if (await slow).status == 200 else "refused"
    except (OSError, EOFError):
        answered = "cut"
    await until(lambda: server.code is not None, 2 * SECONDS, "the end")
    exit_code = server.code or 0
    return {"on_stop_request": answered, "exit_code": str(exit_code if exit_code >= 0 else 128 - exit_code)}


async def _close_after_term(name: str) -> str:
    """Return the close code of a websocket whose server gets SIGTERM."""
    with short_folder() as folder, _ended(Other(name, folder)) as server:
        await server.all_answer()
        socket = await WebSocket.open(server.address, "/")
        frames: Frames = socket._frames
        frames.send(b"ahoy")
        assert await asyncio.wait_for(socket.frame(), SECONDS) == (TEXT, b"ahoy")
        server.signal(signal.SIGTERM)
        async with asyncio.timeout(3 * SECONDS):
            code = await socket.close_code()
            await until(lambda: server.code is not None, 2 * SECONDS, "the end")
    return NO_CLOSE if code == CUT else str(code)


async def test_behaviour(server: Other) -> None:
    """Each server behaves as the table says."""
    assert await measured(server) == SERVERS[server.name]


async def test_shipped_app(server: Other) -> None:
    """The shipped app gives its usual answers, except without a lifespan, in which it opens its database."""
    with short_folder() as folder, _ended(Other(server.name, folder, APP)) as other:
        made = await request(other.address, "POST", "/api/users", b'{"name": "Ada"}', "Content-Type: application/json")
        if SERVERS[server.name].lifespan == "no":
            assert made.status == 500
            return
        again = await request(other.address, "POST", "/api/users", b'{"name": "Ada"}', "Content-Type: application/json")
        found = await request(other.address, "GET", made.headers["location"])
        lost = await request(other.address, "GET", "/nowhere")
        socket = await WebSocket.open(other.address)
        socket._frames.send(b"ahoy")
        echoed = await asyncio.wait_for(socket.frame(), SECONDS)
        await socket.close()

    assert (made.status, again.status, found.status, lost.status) == (201, 409, 200, 404)
    assert json.loads(found.body) == json.loads(made.body)
    assert lost.headers["content-type"] == "application/problem+json"
    assert echoed == (TEXT, b"ahoy")


def test_page_shows_the_table() -> None:
    """The page's table is the generated one."""
    assert shown() == rendered(SERVERS)
