"""What a start needs: a path and port of its own, time-outs in order, and an app that can serve."""

import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.harness.client import request
from tests.harness.processes import running, until
from tests.harness.stack import Server, Slots, serving
from tests.harness.walks import walk
from tests.live import sites
from tests.live.sites import Site, source


@pytest.mark.parametrize("slots", walk(["unix", "tcp", "shared"], "unix"))
async def test_second_start_refuses_and_leaves_the_first_alone(slots: Slots) -> None:
    """A second start with the same paths ends with an error, and the first server keeps serving."""
    with serving(slots=slots) as first:
        pids = first.pids()
        second = Server(first.folder, slots=slots)
        second.environment = first.environment
        second.log_path = first.folder / "second.log"
        second.start()

        assert await second.exit_code(20) != 0
        assert "runs already" in second.log()
        assert first.pids() == pids
        assert (await request(first.address(), "GET", "/plaintext")).status == 200
        assert (await first.reload())[0] == 0


async def test_second_start_on_the_same_path_by_hand() -> None:
    """A server bound to a unix socket by hand does not lose its path to another."""
    with serving(slots="shared") as first:
        path = str(first.folder / "by-hand.sock")
        for server in (first, Server(first.folder, slots="shared")):
            server.environment |= {"GUNICORN_CMD_ARGS": f"--bind=unix:{path}", "INSTANCE": ""}
        first.stop()
        first.start()
        await until(lambda: first.logged("Listening at: unix:"), 20)
        server.log_path = first.folder / "second.log"
        server.start()

        assert await server.exit_code(20) != 0
        assert f"{path} belongs to a server that runs" in server.log()
        assert (await request(path, "GET", "/plaintext")).status == 200


async def test_instances_never_share_a_control_socket() -> None:
    """Two servers started by hand by one user in one folder have separate control sockets."""
    with serving(slots="shared") as first, serving(slots="shared") as second:
        for server in (first, second):
            server.stop()
            server.environment |= {"INSTANCE": "", "RUN_DIR": str(first.folder), "HOME": str(first.folder)}
            server.start()
        await until(lambda: sum(map(listens, first.folder.glob("*.ctl"))) == 2, 20, "two control sockets")
        names = {path.name for path in first.folder.glob("*.ctl")}

        assert names == {f"gunicorn-{server.pid}.ctl" for server in (first, second)}


def listens(path: Path) -> bool:
    """Return whether a socket is listened on; its file exists earlier."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


@pytest.mark.parametrize(
    ("variables", "arguments", "names"),
    [
        ({"DRAIN_SECONDS": "1"}, [], ("DRAIN_SECONDS='1'", "keepalive_timeout, which is 1")),
        ({"DRAIN_SECONDS": "6"}, [], ("GRACEFUL_TIMEOUT - 2)='6'", "DRAIN_SECONDS, which is 6")),
        ({"TIMEOUT": "8"}, [], ("TIMEOUT='8'", "GRACEFUL_TIMEOUT, which is 8")),
        ({"KEEPALIVE": "1"}, [], ("KEEPALIVE='1'", "keepalive_timeout, which is 1")),
        ({"LAME_DUCK_SECONDS": "2"}, [], ("STOP_GRACE_PERIOD='20'", "+ LAME_DUCK_SECONDS, which is 20")),
        (
            {"STOP_GRACE_PERIOD": "18"},
            [],
            ("STOP_GRACE_PERIOD='18'", "+ 2 + LAME_DUCK_SECONDS, which is 18"),
        ),
        ({}, ["--timeout", "5"], ("TIMEOUT='5'", "GRACEFUL_TIMEOUT, which is 8")),
        ({}, ["--graceful-timeout", "40"], ("TIMEOUT='30'", "GRACEFUL_TIMEOUT, which is 40")),
        ({}, ["--keep-alive", "1"], ("KEEPALIVE='1'", "keepalive_timeout, which is 1")),
        ({}, ["--bind", "127.0.0.1:1"], ("--bind='127.0.0.1:1'", "SOCKET_DIR")),
    ],
)
async def test_wrong_order_of_time_outs_stops_the_start(
    folder: Path, variables: dict[str, Any], arguments: list[str], names: tuple[str, str]
) -> None:
    """Nothing starts, and the line that is logged names both values."""
    server = Server(folder, "app.main:simple_app", arguments=arguments, PRESTART="none", **variables)
    server.start()

    assert await server.exit_code(20) == 1
    assert all(name in server.log() for name in names)


def test_prestart_runs_once_before_the_workers(site: Site, tmp_path: Path) -> None:
    """PRESTART, such as migrations, runs once and has ended before the first worker starts."""
    log = tmp_path / "log"
    site.write(source(startup=f"open({str(log)!r}, 'a').write('worker\\n')"))
    options = site.options | {"PRESTART": f"sh -c 'echo prestart >> {log}'"}
    with serving(site.name, workers=3, **options):
        assert log.read_text().split() == ["prestart", "worker", "worker", "worker"]


async def test_start_with_no_setting_brings_the_schema(folder: Path) -> None:
    """The project's own prestart runs if no setting names another: the first request finds its tables."""
    with running(Server(folder, workers=1, DATA_DIR=str(folder / "empty"))) as server:
        answer = await request(server.address(), "GET", "/api/users")

    assert answer.status == 200


async def test_prestart_that_fails_stops_the_start(folder: Path, site: Site) -> None:
    """When PRESTART fails, no worker starts, and the reason is logged."""
    server = Server(folder, site.name, **site.options | {"PRESTART": "sh -c 'exit 3'"})
    server.start()

    assert await server.exit_code(20) == 1
    assert "PRESTART='sh -c exit 3' failed; nothing was started" in server.log()
    assert "Booting worker" not in server.log()


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("sh -c 'exit 3", "No closing quotation"),
        ("''", "the name of a program"),
        ("no-such-program --now", "no-such-program is not a program on PATH"),
        ("/etc/passwd", "/etc/passwd is not a file that can be executed"),
        ("/no/such/folder/program", "is not a program on PATH"),
        ("/tmp", "/tmp is not a file that can be executed"),
        ("TEXT", "can't be run"),  # executable, but no program
    ],
)
async def test_prestart_that_is_no_command_is_refused(
    folder: Path, site: Site, tmp_path: Path, command: str, reason: str
) -> None:
    """One line names the setting and the reason, and nothing is started."""
    text = tmp_path / "text"
    text.write_bytes(b"\0 neither a script nor a program")
    text.chmod(0o755)
    server = Server(folder, site.name, **site.options | {"PRESTART": command.replace("TEXT", str(text))})
    server.start()

    assert await server.exit_code(20) == 1
    (line,) = [line for line in server.log().splitlines() if "PRESTART=" in line]
    assert reason in line
    assert "Traceback" not in server.log()
    assert "Booting worker" not in server.log()


@pytest.mark.parametrize("setting", ["SOCKET_DIR", "RUN_DIR"])
async def test_folder_that_can_not_be_used_stops_the_start(folder: Path, site: Site, setting: str) -> None:
    """A folder below a file can't be created, and the last line names the settings."""
    (folder / "file").touch()
    slots: Slots = "unix" if setting == "SOCKET_DIR" else "shared"
    server = Server(folder, site.name, slots=slots, **site.options | {setting: str(folder / "file" / "inner")})
    server.start()

    assert await server.exit_code(20) == 1
    assert "can't be used as SOCKET_DIR or RUN_DIR" in server.log().splitlines()[-1]
    assert "Traceback" not in server.log()


async def test_app_without_lifespan_serves(site: Site) -> None:
    """An app that raises at the lifespan scope, as Django does, is served."""
    site.write(
        source().replace('if scope["type"] == "lifespan":', 'if scope["type"] != "http":\n        raise ValueError')
    )
    with serving(site.name, **site.options) as server:
        assert (await request(server.address(), "GET", "/")).body == b"old"


@pytest.mark.parametrize("startup", [sites.RAISES_IN_STARTUP, sites.FAILS_IN_STARTUP])
async def test_app_whose_startup_fails_does_not_serve(folder: Path, site: Site, startup: str) -> None:
    """A first start whose app raises or fails in its startup ends the server with an error."""
    site.write(source(startup=startup))
    server = Server(folder, site.name, **site.options)
    server.start()

    assert await server.exit_code(10) == 3
    assert "on purpose" in server.log()


async def test_stale_files_after_a_killed_master() -> None:
    """After SIGKILL of the master the commands report that nothing runs, and a new start takes the paths over."""
    with serving() as server:
        pids = server.pids()
        server.signal(signal.SIGKILL)
        await server.exit_code(5)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

        code, output = await server.reload()
        assert code == 1
        assert "no instance named app runs" in output
        (server.folder / "app.json").unlink()
        server.start()
        server.until_ready()
        assert (await request(server.address(), "GET", "/plaintext")).status == 200
