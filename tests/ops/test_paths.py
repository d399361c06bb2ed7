"""Folders whose names are special for a shell, nginx, supervisor or a URL: the stack runs in each."""

import json
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.environment import SettingError
from slipway.ops import nginx, nginx_text, wait
from slipway.ops.folder import check_folder
from slipway.ops.settings import ROOT
from tests.harness.processes import short_folder
from tests.harness.walks import walk
from tests.ops.conftest import Verbs
from tests.ops.copies import copy_tree

NAMES = [
    "my project",
    "it's",
    'say "hi"',
    "100%(x)s",
    "$HOME",
    "a;b # c",
    "(copy) [1]",
    "a*b?c",
    "back\\slash\\n",
    "größe 数",
    "{a},b&c|d<e>`f`!",
    "~tilde ${HOME}",
]


@pytest.fixture(params=walk(NAMES, "my project", "(copy) [1]"))
def clone(request: pytest.FixtureRequest) -> Iterator[Verbs]:
    """The verbs of a copy of the tree in such a folder, with everything written below it."""
    with short_folder() as folder:
        root = folder / request.param
        copy_tree(root)
        (root / ".run").mkdir()
        verbs = Verbs(root / ".run", root)
        del verbs.settings["RUN_DIR"]
        yield verbs
        verbs("down")


@pytest.mark.timeout(180)
def test_verbs(clone: Verbs) -> None:
    """Up, status, reload and down work as elsewhere, and leave no process."""
    up = clone("up")
    assert up.returncode == 0, up.stdout + up.stderr
    assert wait.get(f"{clone.url}/readyz")[0] == 200
    workers = json.loads((clone.folder / "app" / "app.json").read_text())["serving"]
    assert clone("status").returncode == 0

    reload = clone("reload")
    assert reload.returncode == 0, reload.stdout + reload.stderr
    assert not {*workers} & {*json.loads((clone.folder / "app" / "app.json").read_text())["serving"]}

    down = clone("down")
    assert down.returncode == 0, down.stdout + down.stderr
    assert clone.pids() == []


@pytest.mark.parametrize("name", ["x" * 100, "two\nlines", "tab\there", "a:b"])
def test_refused_in_one_line(tmp_path: Path, name: str) -> None:
    """A name that no socket, shell or PATH can hold is refused in one line with the setting that helps."""
    with pytest.raises(SettingError, match="RUN_DIR=") as raised:
        check_folder(tmp_path / name)

    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", NAMES)
def test_nginx_finds_its_files(name: str) -> None:
    """`nginx -t` reads the includes below such a folder, and no others."""
    with short_folder() as parent:
        folder = parent / name
        shutil.copytree(ROOT / "nginx", folder / "nginx")
        (folder / "app").mkdir()
        slots = f'server "unix:{nginx_text.quoted(folder / "app")}/slot-0.sock";\n'
        (folder / "app" / "slots.conf").write_text(slots if not any(sign in name for sign in "*?[") else "")
        command = nginx.prepare(folder / "run", listen="8080", socket_dir=folder / "app", max_body_bytes=1)
        done = subprocess.run([*command, "-T"], capture_output=True, text=True)

        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stderr}"
        assert f"# configuration file {folder}/app/slots.conf:" in done.stdout
