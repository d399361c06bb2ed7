"""Running processes are verified, not trusted by pid; those that a killed supervisor leaves are found and ended."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.ops import wait
from slipway.ops.console import NOTHING_RUNS
from slipway.ops.settings import ROOT
from slipway.ops.supervisor import Supervisor
from slipway.serving.settings import STATUS_SOCKET
from tests.harness.processes import is_alive
from tests.ops.conftest import Verbs

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def bystander() -> Iterator["subprocess.Popen[bytes]"]:
    """A program that does not belong to the stack."""
    process = subprocess.Popen(SLEEP)
    yield process
    process.kill()
    process.wait()


def ended(pids: list[int]) -> bool:
    return not any(map(is_alive, pids))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("names", [("supervisord.pid",), ("supervisord.pid", "nginx/nginx.pid", "app/app.json")])
def test_stale_numbers(make: Verbs, bystander: "subprocess.Popen[bytes]", names: tuple[str, ...]) -> None:
    """A process whose pid is in files of an earlier run, but which is another program by now, is left alone."""
    for name in names:
        (make.folder / name).parent.mkdir(exist_ok=True)
        pid = bystander.pid
        (make.folder / name).write_text(json.dumps({"pid": pid, "serving": [pid]}) if "json" in name else f"{pid}\n")

    assert make("down").returncode == 0
    assert bystander.poll() is None
    up = make("up")
    assert up.returncode == 0, up.stdout + up.stderr
    (make.folder / "supervisord.pid").write_text(f"{bystander.pid}\n")
    assert make("down").returncode == 0
    assert make.pids() == []
    assert bystander.poll() is None


@pytest.mark.timeout(180)
@pytest.mark.parametrize("verb", ["down", "up"])
def test_supervisor_killed_alone(make: Verbs, verb: str) -> None:
    """Status reports what is left and how to go on; `down` ends it, `up` takes over."""
    assert make("up").returncode == 0
    left = [pid for pid in make.pids() if pid != _daemon(make)]
    os.kill(_daemon(make), signal.SIGKILL)
    assert wait.until(lambda: not Supervisor(make.folder, ROOT).runs(), 10)

    status = make.module("status")
    assert status.returncode == NOTHING_RUNS
    assert "supervisor was killed" in status.stderr
    assert "`make down` ends them" in status.stderr
    assert make.module("reload").returncode == NOTHING_RUNS

    done = make(verb)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ended(left)
    if verb == "up":
        assert wait.get(f"{make.url}/readyz")[0] == 200
        assert make("down").returncode == 0
    assert make.pids() == []


def _daemon(make: Verbs) -> int:
    return int((make.folder / "supervisord.pid").read_text())


@pytest.mark.timeout(180)
@pytest.mark.parametrize("stopped", ["nginx", "app"])
def test_a_part_alone_is_stopped(make: Verbs, stopped: str) -> None:
    """Status names the stopped part with exit code 1, and `make up` starts it again beside the rest."""
    assert make("up").returncode == 0
    supervisor = Supervisor(make.folder, ROOT)
    supervisor.stop(stopped)
    others = {name: state.pid for name, state in supervisor.states().items() if name != stopped}

    status = make.module("status")
    assert status.returncode == 1
    assert f"{stopped} is stopped; `make up` starts it again" in status.stderr

    up = make("up")
    assert up.returncode == 0, up.stdout + up.stderr
    assert make.module("status").returncode == 0
    assert {name: state.pid for name, state in supervisor.states().items() if name != stopped} == others


@pytest.mark.timeout(180)
def test_files_are_private(new_make: Verbs) -> None:
    """Whatever the umask is, only the user who started the stack can read below the folder."""
    new_make.folder.chmod(0o755)
    for umask in (0o000, 0o077):
        before = os.umask(umask)
        try:
            up = new_make("up")
        finally:
            os.umask(before)
        assert up.returncode == 0, up.stdout + up.stderr
        assert wait.get(f"{new_make.url}/readyz")[0] == 200

        assert new_make.folder.stat().st_mode & 0o777 == 0o700
        assert _open_to_others(new_make.folder) == []
        assert new_make("down").returncode == 0


def _open_to_others(folder: Path) -> list[Path]:
    """Return what others may read; for a socket, which nginx opens to all, its folder counts instead."""
    files = [path for path in folder.rglob("*") if not path.is_symlink() and not path.is_relative_to(folder / "venv")]
    paths = [path.parent if path.name == STATUS_SOCKET else path for path in files]
    return [path for path in paths if path.stat().st_mode & 0o007]
