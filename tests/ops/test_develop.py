"""`make dev`: a change is served at once, as behind nginx; a breakpoint works; a failed start is reported once."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.ops import wait
from slipway.ops.changes import changed, times
from tests.harness.client import request
from tests.harness.processes import short_folder
from tests.live import sites
from tests.ops.test_messages import BROKEN
from tests.own.trees import Tree, make_tree, write

pytestmark = pytest.mark.timeout(120)
SECONDS = 30.0
TABLE = '[tool.slipway]\napp = "mine.main:application"\n'
ECHO = """
import json
from pathlib import Path

PAGE = Path(__file__).with_name("index.html").read_text()

async def application(scope, receive, send):
    assert scope["type"] == "http"
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    body = json.dumps({"page": PAGE, "headers": headers, "client": scope["client"][0], "scheme": scope["scheme"]})
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body.encode()})
"""


class Developing(Tree):
    """`make dev` in a terminal."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, make_tree)
        text = (self.root / "pyproject.toml").read_text()
        begin = text.index("[tool.slipway]")
        self.write("../pyproject.toml", text[:begin] + TABLE + text[text.index("\n\n\n", begin) :])
        self.write("index.html", "old")
        self.write("main.py", ECHO)
        self.set(**sites.SHORT)
        self.said = ""

    def write(self, name: str, text: str) -> None:
        write(self.root / "mine" / name, text)

    def start(self) -> None:
        self.terminal, end = pty.openpty()
        command = [sys.executable, "-m", "slipway.ops", "dev"]
        self.process = subprocess.Popen(
            command, cwd=self.root, env=self.environment(), stdin=end, stdout=end, stderr=end, start_new_session=True
        )
        os.close(end)

    def type(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def until(self, text: str, seconds: float = SECONDS) -> str:
        """Return the output up to this text, and forget it."""
        deadline = time.monotonic() + seconds
        while text not in self.said:
            assert time.monotonic() < deadline, f"{text!r} is not said:\n{self.said}"
            if select.select([self.terminal], [], [], 0.1)[0]:
                self.said += os.read(self.terminal, 1 << 16).decode(errors="replace").replace("\r\n", "\n")
        before, _, self.said = self.said.partition(text)
        return before + text

    def stop(self) -> int:
        """Stop it as by Ctrl-C, which a terminal sends to all its processes."""
        os.killpg(self.process.pid, signal.SIGINT)
        try:
            return self.process.wait(SECONDS)
        finally:
            os.close(self.terminal)


@pytest.fixture(scope="module")
def dev() -> Iterator[Developing]:
    """A `make dev` that serves; each test leaves working code behind."""
    with short_folder() as folder:
        developing = Developing(folder)
        developing.start()
        try:
            developing.until("Ctrl-C ends it")
            yield developing
        finally:
            code = developing.stop()
        assert code == 130
        assert developing.pids() == []


async def test_address_and_headers_are_nginx_s(dev: Developing) -> None:
    """The app sees the address and headers that it would see in the stack, whatever a client claims."""
    claims = (
        "X-Forwarded-For: 1.2.3.4",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Prefix: /x",
        "Forwarded: for=1.2.3.4",
    )
    answer = await request(("127.0.0.1", dev.port), "GET", "/", b"", *claims)
    seen = json.loads(answer.body)

    assert (seen["client"], seen["scheme"]) == ("127.0.0.1", "http")
    assert {"x-forwarded-prefix", "forwarded"}.isdisjoint(seen["headers"])
    assert seen["headers"]["x-request-id"] == answer.headers["x-request-id"]


async def test_a_request_is_one_line_of_the_log(dev: Developing) -> None:
    """A request leaves the access record alone, without a line of uvicorn's own."""
    for path in ("/first", "/last"):
        await request(("127.0.0.1", dev.port), "GET", path)

    assert dev.until("/last").count("/first") == 1


@pytest.mark.parametrize(
    ("name", "text"), [("index.html", "new"), ("main.py", ECHO.replace("read_text()", 'read_text() + "er"'))]
)
async def test_changed_file_is_served(dev: Developing, name: str, text: str) -> None:
    """Changed code and pages are served; a request that comes in between waits for the new code."""
    old = (dev.root / "mine" / name).read_text()
    dev.write(name, text)
    dev.until(f"mine/{name} changed")
    answer = await request(("127.0.0.1", dev.port), "GET", "/")
    dev.until("Ctrl-C ends it")
    dev.write(name, old)
    dev.until("Ctrl-C ends it")

    assert json.loads(answer.body)["page"] in ("new", "older")


def test_new_settings(dev: Developing) -> None:
    """A changed `.env` is read again."""
    before = (dev.root / ".env").read_text()
    dev.set(**sites.SHORT, MAX_REQUESTS_IN_FLIGHT="7")
    dev.until(".env changed")
    dev.until("Ctrl-C ends it")
    write(dev.root / ".env", before)
    dev.until("Ctrl-C ends it")

    assert wait.get(f"{dev.url}/")[0] == 200


@pytest.mark.parametrize(("text", "said", "line"), BROKEN)
def test_broken_app(dev: Developing, text: str, said: str, line: int) -> None:
    """A broken app gets one message with file, line and the next step; once repaired, it starts by itself."""
    start = time.monotonic()
    dev.write("main.py", text)
    message = dev.until("starts by itself")
    seconds = time.monotonic() - start
    dev.write("main.py", ECHO)
    dev.until("Ctrl-C ends it")

    assert message.count(said) == 1, message
    assert (f"(mine/main.py, line {line})" in message) == bool(line), message
    assert "Traceback" not in message
    assert seconds < 10


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("import time\ntime.sleep(3600)\n", 2),
        (sites.source(startup=sites.HANGS_IN_STARTUP), 5),
        (sites.source(startup=sites.BLOCKS_IN_STARTUP), 5),
    ],
    ids=["import", "lifespan", "blocked lifespan"],
)
def test_app_that_hangs(dev: Developing, text: str, line: int) -> None:
    """After TIMEOUT the message names the line at which a hanging app stands."""
    dev.write("main.py", text)
    message = dev.until("starts by itself")
    dev.write("main.py", ECHO)
    dev.until("Ctrl-C ends it")

    assert f"it is not ready after 5 s (TIMEOUT), and stands at (mine/main.py, line {line})" in message


def test_breakpoint(dev: Developing) -> None:
    """The debugger has the terminal for as long as it takes."""
    dev.write("main.py", ECHO.replace("    headers =", "    breakpoint()\n    headers ="))
    dev.until("Ctrl-C ends it")
    with subprocess.Popen(["curl", "-s", "-o", "/dev/null", f"{dev.url}/asked"]) as client:
        dev.until("(Pdb)")
        dev.type("scope['path']\n")
        seen = dev.until("(Pdb)")
        dev.type("continue\n")
        assert client.wait(SECONDS) == 0
    dev.write("main.py", ECHO)
    dev.until("Ctrl-C ends it")

    assert "'/asked'" in seen


def test_port_that_is_taken(dev: Developing) -> None:
    """A second `make dev` names the port that is taken, and what to do."""
    second = dev.module("dev")

    assert second.returncode == 1
    assert f"HTTP_PORT={dev.port} on 127.0.0.1 is in use" in second.stderr
    assert "HTTP_PORT=8090 make dev" in second.stderr


def test_which_files_count(tmp_path: Path) -> None:
    """Code, pages and `.env` count as changes; files that programs and editors write do not."""
    before = times(tmp_path)
    for name in ("a.py", "index.html", ".env", "b.pyc", ".a.py.swp", "a.py~", "app.db-wal", "x.log"):
        (tmp_path / name).write_text("1")

    assert [Path(path).name for path in changed(before, times(tmp_path))] == [".env", "a.py", "index.html"]


def test_shell(dev: Developing) -> None:
    """`make shell` finds the environment's commands and has the settings of `.env`."""
    command = [sys.executable, "-m", "slipway.ops", "shell"]
    typed = "command -v gunicorn; command -v locust; echo $TIMEOUT\n"
    env = dev.environment(SHELL="/bin/sh")
    done = subprocess.run(command, cwd=dev.root, env=env, input=typed, capture_output=True, text=True, timeout=60)

    assert f"{dev.folder}/venv/bin/gunicorn" in done.stdout, done.stderr
    assert f"{dev.folder}/venv/bin/locust" in done.stdout
    assert "\n5\n" in done.stdout


@pytest.mark.timeout(120)
def test_after_everything_was_killed() -> None:
    """Files left by processes that were killed are no obstacle to the next start."""
    with short_folder() as folder:
        developing = Developing(folder)
        developing.start()
        developing.until("Ctrl-C ends it")
        os.killpg(developing.process.pid, signal.SIGKILL)
        developing.process.wait(SECONDS)
        os.close(developing.terminal)
        assert wait.until(lambda: developing.pids() == [], SECONDS)
        developing.said = ""
        developing.start()
        developing.until("Ctrl-C ends it")

        assert wait.get(developing.url)[0] == 200
        assert developing.stop() == 130
