"""`make deploy` in the local runtime: a second server beside the first; no interruption stops what serves."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.ops import setup, wait
from slipway.ops.programs import APPS
from slipway.ops.settings import ROOT
from slipway.ops.supervisor import Supervisor
from tests.harness.load import Load
from tests.harness.processes import short_folder
from tests.harness.walks import walk
from tests.live import sites
from tests.live.sites import GET_OLD, source
from tests.ops.conftest import Verbs
from tests.ops.copies import copy_tree

STAGES = ["packages of", "new server", "old server drains"]


class Clone(Verbs):
    """A copy of the tree whose app is one file, and whose packages come from the tests' environment."""

    def __init__(self, folder: Path) -> None:
        (folder / "run").mkdir()
        copy_tree(folder / "tree")
        super().__init__(folder / "run", folder / "tree")
        self.settings |= {"APP": "yours:application", "PYTHONDONTWRITEBYTECODE": "1", **sites.SHORT}
        self._use_own_environment()
        self.write(source())

    def write(self, text: str) -> None:
        (self.root / "yours.py").write_text(text)

    def slow(self, answer: str) -> str:
        """Return the code of an app that gets ready once the file `go` exists."""
        go = self.folder / "go"
        wait_for_it = f"import asyncio, os\n        while not os.path.exists({str(go)!r}): await asyncio.sleep(0.05)"
        return source(answer=answer, startup=wait_for_it)

    def serving(self) -> str:
        """Return the name of the server that nginx's links lead to."""
        return (self.folder / "app" / "slot-0.sock").readlink().name.removesuffix("-0.sock")

    def servers(self) -> int:
        """Return how many app servers have processes."""
        states = Supervisor(self.folder, ROOT).states().values()
        return sum(state.alive for state in states if state.name in APPS)

    def _use_own_environment(self) -> None:
        """Use an environment that finds the packages of the tests' own, so that none has to be downloaded."""
        (self.folder / "venv").unlink()
        self.make_environment(self.folder / "venvs" / "first")
        (self.folder / "venv").symlink_to(Path("venvs", "first"))

    def make_environment(self, venv: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
        packages = next(path for path in map(Path, sys.path) if path.name == "site-packages")
        target = next((venv / "lib").glob("python*/site-packages"))
        (target / "tests.pth").write_text(f"{packages}\n")
        for name in ("gunicorn", "supervisord"):
            shutil.copy(Path(sys.executable).parent / name, venv / "bin")
        (venv / ".local").write_text("not yet\n")


@pytest.fixture(scope="module")
def clone() -> Iterator[Clone]:
    with short_folder() as folder:
        clone = Clone(folder)
        up = clone("up")
        assert up.returncode == 0, up.stdout + up.stderr
        yield clone
        clone("down")


@pytest.fixture(autouse=True)
def old_code(clone: Clone) -> None:
    """Put the old code into service before each test."""
    (clone.folder / "go").unlink(missing_ok=True)
    clone.write(source())
    done = clone("deploy")
    assert done.returncode == 0, done.stdout + done.stderr
    assert wait.get(f"{clone.url}/") == (200, "old")


@pytest.mark.timeout(180)
async def test_new_packages_and_code_with_nothing_lost(clone: Clone) -> None:
    """With new packages a reload is refused and changes nothing; a deploy takes them and the code, under load."""
    _change_packages(clone)
    before = sorted(path.name for path in (clone.folder / "venvs").iterdir()), (clone.folder / "venv").readlink()
    refused = await asyncio.to_thread(clone.module, "reload")
    assert refused.returncode == 1
    assert "requirements/local.txt has changed; `make deploy`" in refused.stderr
    after = sorted(path.name for path in (clone.folder / "venvs").iterdir()), (clone.folder / "venv").readlink()
    assert after == before

    await asyncio.to_thread(_prepare, clone)
    async with Load(("127.0.0.1", clone.port), [GET_OLD], kept=2, fresh=2, rate=100) as load:
        done = await asyncio.to_thread(clone.module, "deploy")

    assert done.returncode == 0, done.stdout + done.stderr
    assert load.report.total
    assert not load.report.lost
    assert (clone.folder / "venv").readlink() != before[1]
    assert (await asyncio.to_thread(clone.module, "reload")).returncode == 0


def _change_packages(clone: Clone) -> None:
    lock = clone.root / "requirements" / "local.txt"
    lock.write_text(f"{lock.read_text()}# {os.urandom(4).hex()}\n")


def _prepare(clone: Clone) -> None:
    """Create the new environment as quickly as the first one."""
    lock = clone.root / "requirements" / "local.txt"
    clone.make_environment(clone.folder / "venvs" / setup.digest(lock)[:12])


@pytest.mark.timeout(120)
def test_new_code_that_fails_leaves_the_old_one(clone: Clone) -> None:
    """New code that fails is stopped, the old code keeps serving, and a deploy of repaired code works."""
    clone.write("raise RuntimeError('raised at import')\n")
    before = clone.serving()
    failed = clone.module("deploy")
    assert failed.returncode == 1
    assert clone.serving() == before
    assert wait.get(f"{clone.url}/") == (200, "old")
    assert clone.servers() == 1
    clone.write(source(answer="new"))

    assert clone.module("deploy").returncode == 0
    assert wait.get(f"{clone.url}/") == (200, "new")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("number", walk({"SIGINT": signal.SIGINT, "SIGKILL": signal.SIGKILL}, "SIGKILL"))
def test_interrupted(clone: Clone, stage: str, number: signal.Signals) -> None:
    """After Ctrl-C to all processes, or SIGKILL, at each stage, clients are served, and the next deploy works."""
    clone.write(clone.slow("new") if stage == "new server" else source(answer="new"))
    if stage == "packages of":
        _change_packages(clone)
        _prepare(clone)
    process = _deploying(clone)
    try:
        assert _reached(process, stage)
        if stage == "new server":
            assert wait.until(lambda: clone.servers() == 2, 30)
        os.killpg(process.pid, number)
        assert wait.until(lambda: process.poll() is not None, 60)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    assert wait.get(f"{clone.url}/")[0] == 200

    (clone.folder / "go").touch()
    again = clone.module("deploy")
    assert again.returncode == 0, again.stdout + again.stderr
    assert wait.get(f"{clone.url}/") == (200, "new")
    assert clone.servers() == 1


@pytest.mark.timeout(120)
def test_interrupted_after_the_links_were_turned(clone: Clone) -> None:
    """The links lead to the old server again before the new one is stopped."""
    clone.write(source(answer="new"))
    code = (
        "from slipway.ops import verbs\n"
        "from slipway.ops.instance import Instance\n"
        "ctl = Instance.ctl\n"
        "def turned(self, verb, **options):\n"
        "    ctl(self, verb, **options)\n"
        "    if verb == 'publish' and not turned.done:\n"
        "        turned.done = True\n"
        "        raise KeyboardInterrupt\n"
        "turned.done = False\n"
        "Instance.ctl = turned\n"
        "import sys; sys.argv = ['ops', 'deploy']\n"
        "verbs.main()\n"
    )
    before = clone.serving()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=clone.root, env=clone.environment(), capture_output=True, text=True
    )

    assert done.returncode == 130, done.stderr
    assert clone.serving() == before
    assert wait.get(f"{clone.url}/") == (200, "old")
    assert clone.servers() == 1


def _deploying(clone: Clone) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "slipway.ops", "deploy"]
    return subprocess.Popen(
        command, cwd=clone.root, env=clone.environment(), stdout=subprocess.PIPE, start_new_session=True
    )


def _reached(process: "subprocess.Popen[bytes]", stage: str) -> bool:
    """Return whether it prints that the stage begins, which it does beforehand."""
    assert process.stdout is not None
    seen = b""
    while stage.encode() not in seen:
        more = os.read(process.stdout.fileno(), 4096)
        if not more:
            return False
        seen += more
    return True
