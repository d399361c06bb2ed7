"""gunicorn's own options do what their names say or are refused in one line, however they are given."""

import os
import re
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slipway.ops.settings import ROOT
from tests.harness.client import request
from tests.harness.load import Load
from tests.harness.processes import children, is_alive, until
from tests.harness.stack import Server, serving
from tests.harness.walks import walk
from tests.live.sites import GET_OLD, Site, source

REFUSED: list[tuple[list[str], str]] = [
    (["--threads", "4"], "WEB_CONCURRENCY"),
    (["--worker-connections", "500"], "MAX_REQUESTS_IN_FLIGHT"),
    (["--limit-request-line", "100"], "nginx"),
    (["--limit-request-fields", "10"], "nginx"),
    (["--limit-request-field_size", "100"], "nginx"),
    (["--reuse-port"], "SOCKET_DIR"),
    (["--error-logfile", "errors.log"], "stdout"),
    (["--access-logfile", "-"], "ACCESS_LOG"),
    (["--access-logformat", "%(h)s"], "ACCESS_LOG"),
    (["--log-level", "debug"], "LOG_LEVEL"),
    (["--statsd-host", "127.0.0.1:8125"], "metrics are read by HTTP"),
    (["--proxy-protocol"], "PROXY"),
    (["--workers", "5"], "WEB_CONCURRENCY"),
    (["--bind", "127.0.0.1:1"], "SOCKET_DIR"),
    (["--http-parser", "python"], "gunicorn's own workers"),
    (["-k", "gevent"], "uvicorn_worker.UvicornWorker"),
    (["-k", "tornado"], "uvicorn_worker.UvicornWorker"),
    (["-k", "uvicorn.workers.UvicornH11Worker"], "uvicorn_worker.UvicornWorker"),
    (["-k", "gunicorn.workers.base.Worker"], "uvicorn_worker.UvicornWorker"),
]


async def refusal(server: Server) -> str:
    """Start the server; return its output, which must be one line."""
    server.start()
    assert await server.exit_code(30) == 1, server.log()
    (line,) = server.log().splitlines()
    return line


@pytest.mark.parametrize(("arguments", "way_out"), REFUSED, ids=[" ".join(arguments) for arguments, _ in REFUSED])
@pytest.mark.parametrize("given", walk(["command line", "GUNICORN_CMD_ARGS"], "command line"))
async def test_option_that_would_be_ignored_is_refused(
    folder: Path, site: Site, arguments: list[str], way_out: str, given: str
) -> None:
    """One line names the option, its value and the alternative, and nothing starts."""
    if given == "command line":
        server = Server(folder, site.name, arguments=arguments, **site.options)
    else:  # -k on the command line would override it
        server = Server(
            folder, site.name, literal=["gunicorn"], **site.options, GUNICORN_CMD_ARGS=shlex.join(arguments)
        )
    line = await refusal(server)

    assert "is not allowed" in line
    assert repr(arguments[-1]) in line or len(arguments) == 1
    assert way_out in line


@pytest.mark.parametrize(
    ("line", "way_out"),
    [
        ("threads = 4", "WEB_CONCURRENCY"),
        ("reuse_port = True", "SOCKET_DIR"),
        ("def pre_request(worker, req): pass", "middleware"),
    ],
)
async def test_option_in_the_configuration_is_refused(folder: Path, site: Site, line: str, way_out: str) -> None:
    """gunicorn.conf.py is refused for such options in the same way, and so is a reload to it."""
    conf = folder / "own.conf.py"
    shipped = (ROOT / "gunicorn.conf.py").read_text()
    conf.write_text(f"{shipped}\n{line}\n")
    server = Server(
        folder,
        site.name,
        arguments=["-c", str(conf)],
        **site.options | {"PYTHONPATH": f"{site.options['PYTHONPATH']}:{ROOT}"},
    )
    said = await refusal(server)
    assert way_out in said

    conf.write_text(shipped)
    server.log_path = folder / "second.log"
    server.start()
    server.until_ready()
    try:
        conf.write_text(f"{shipped}\n{line}\n")
        code, output = await server.reload()
        assert code == 1
        assert way_out in output
    finally:
        server.stop()


async def test_hidden_daemon_refuses_on_the_terminal(folder: Path, site: Site) -> None:
    """With --daemon, too, the reason is printed before the server leaves the terminal."""
    line = await refusal(Server(folder, site.name, arguments=["-D", "--threads", "4"], **site.options))

    assert "WEB_CONCURRENCY" in line


HIDDEN = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name in ("uvicorn.workers", "uvicorn_worker"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden())
"""

BUILT_ON_OURS = """
from {module} import UvicornWorker
class Mine(UvicornWorker):
    CONFIG_KWARGS = {{**UvicornWorker.CONFIG_KWARGS, "server_header": True}}
"""


@pytest.mark.parametrize("hidden", [False, True], ids=["there", "gone"])
@pytest.mark.parametrize("name", ["uvicorn.workers.UvicornWorker", "uvicorn_worker.UvicornWorker"])
async def test_every_name_of_the_worker_is_ours(site: Site, tmp_path: Path, name: str, hidden: bool) -> None:
    """`-k` with either name runs our worker, whether or not uvicorn still has its module."""
    if hidden:
        (tmp_path / "sitecustomize.py").write_text(HIDDEN)
    with serving(site.name, literal=("gunicorn", "-k", name), **site.options) as server:
        site.write(source(answer="new"))
        assert (await server.reload())[0] == 0
        answer = await request(server.address(), "GET", "/")
        server.stop()

        assert answer.body == b"new"
        assert server.logged("Draining") == 4
        assert server.logged("shutdown has run") == 4


@pytest.mark.parametrize("module", ["uvicorn.workers", "uvicorn_worker"])
async def test_class_built_on_ours(site: Site, tmp_path: Path, module: str) -> None:
    """A user's own class, built on either name, has our guarantees and its own options."""
    (tmp_path / "mine.py").write_text(BUILT_ON_OURS.format(module=module))
    with serving(site.name, literal=("gunicorn", "-k", "mine.Mine"), **site.options) as server:
        answer = await request(server.address(), "GET", "/")
        server.stop()

        assert answer.headers["server"] == "uvicorn"
        assert server.logged("Draining") == 2


async def test_daemon_reloads_and_stops(folder: Path, site: Site) -> None:
    """`gunicorn -D` serves new code after HUP, and TERM ends all its processes."""
    pidfile = folder / "pid"
    options = site.options | {"INSTANCE": ""}
    server = Server(folder, site.name, slots="shared", arguments=["-D", "-p", str(pidfile)], **options)
    server.start()
    await until(lambda: server.code == 0, 20, "the end of the process that has started it")
    await until(lambda: [*folder.glob("*.json")], 20, "the server")
    pid = int(pidfile.read_text())
    try:
        site.write(source(answer="new"))
        os.kill(pid, signal.SIGHUP)
        await until(lambda: '"state": "done"' in next(folder.glob("*.json")).read_text(), 30, "the reload")
        assert (await request(server.address(), "GET", "/")).body == b"new"
        os.kill(pid, signal.SIGWINCH)
        await until(lambda: not children(pid), 20, "the end of the workers")
        os.kill(pid, signal.SIGHUP)
        await until(lambda: len(children(pid)) == 2, 30, "new workers")
    finally:
        os.kill(pid, signal.SIGTERM)
        await until(lambda: not is_alive(pid), 20, "its end")


async def test_preloaded_code_can_not_be_reloaded(site: Site) -> None:
    """`--preload` serves; a reload is refused, since it would keep the old code."""
    with serving(site.name, arguments=["--preload"], **site.options) as server:
        site.write(source(answer="new"))
        code, output = await server.reload()

        assert code == 1
        assert "--preload loads the code before the fork" in output
        assert (await request(server.address(), "GET", "/")).body == b"old"


async def test_reload_on_change(site: Site) -> None:
    """`--reload` loads changed code; broken code is refused, and repaired code is loaded."""
    with serving(site.name, arguments=["--reload"], **site.options) as server:
        for text, what in [(source(answer="new"), b"new"), ("application = (", b"new"), (source(answer="end"), b"end")]:
            refused = server.logged("Reload refused")
            number = server.status()["reload"]["number"]
            site.write(text)
            await until(lambda: server.status()["reload"]["number"] > number, 15, "a reload")  # noqa: B023
            await until(lambda: server.status()["reload"]["state"] != "running", 30, "its end")
            await until(lambda: len(server.pids()) == 2, 15)
            assert (await request(server.address(), "GET", "/")).body == what
            if text == "application = (":
                await until(lambda: server.logged("Reload refused") > refused, 5)  # noqa: B023 (written a moment later)
            else:
                assert server.logged("Reload refused") == refused


CLASSES: dict[str, dict[str, Any]] = {
    "uvicorn": {"app": Site.name},
    "gthread": {"app": "app.wsgi:application", "literal": ("gunicorn", "-k", "gthread", "--threads", "4")},
    "asgi": {"app": Site.name, "literal": ("gunicorn", "-k", "asgi")},
    "sync": {"app": "app.wsgi:application", "literal": ("gunicorn", "-k", "sync")},
}


@pytest.fixture(params=walk([*CLASSES], "uvicorn"))
def any_class(request: pytest.FixtureRequest, site: Site) -> Iterator[Server]:
    """A server of each allowed worker class."""
    options = dict(CLASSES[request.param])
    with serving(options.pop("app"), **options, **site.options | {"PRESTART": "python -m app.migrate"}) as server:
        yield server


async def test_hangup_of_workers_does_nothing(any_class: Server) -> None:
    """SIGHUP is for the arbiter: workers that also get it keep serving."""
    before = any_class.pids()
    for _ in range(20):
        for pid in before:
            os.kill(pid, signal.SIGHUP)
        assert (await request(any_class.address(), "GET", "/plaintext")).status == 200

    assert any_class.pids() == before
    assert (await any_class.reload())[0] == 0
    assert not set(before) & set(any_class.pids())


async def test_hangup_of_all_processes_loses_nothing(site: Site) -> None:
    """SIGHUP to the whole process group, as from a terminal, is a reload that loses nothing."""
    with serving(site.name, **site.options) as server:
        async with Load(server.address(), [GET_OLD], kept=4, fresh=4, rate=200) as load:
            for number in (1, 2, 3):
                os.killpg(server.pid, signal.SIGHUP)
                await until(lambda: server.status()["reload"]["number"] >= number, 10)  # noqa: B023
                await until(lambda: server.status()["reload"]["state"] == "done", 30)

        assert not load.report.lost


def test_log_has_no_deprecation(site: Site) -> None:
    """The log has no deprecation warning, so uvicorn's deprecated module is not imported."""
    with serving(site.name, **site.options | {"PYTHONWARNINGS": "error::DeprecationWarning"}) as server:
        assert not re.search("Deprecat", server.log())
