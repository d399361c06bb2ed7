"""An older Python is refused in one line."""

import ast
import subprocess
import sys

import pytest

from slipway.ops.settings import ROOT

BEFORE = ["slipway/__init__.py", "slipway/ops/__init__.py"]  # the files that an older Python reads before it is refused


@pytest.mark.parametrize("name", BEFORE)
def test_it_can_parse_the_refusal(name: str) -> None:
    """The guard, and everything imported before it, use no newer syntax."""
    tree = ast.parse((ROOT / name).read_text(), feature_version=(3, 4))

    assert not [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]


@pytest.mark.parametrize("module", ["slipway.ops", "slipway.ops.checks", "slipway.ops.verbs", "slipway.ops.logged"])
@pytest.mark.parametrize("version", [(3, 8, 10), (3, 10, 12)])
def test_every_way_in_is_guarded(module: str, version: tuple[int, int, int]) -> None:
    """Each module that `make` calls names the required version, the running one, and how to choose another."""
    code = (
        f"import sys, runpy; sys.version_info = {version}; sys.version = '{'.'.join(map(str, version))} (main)'; "
        f"runpy.run_module({module!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"Python 3.11 or newer is needed, this is {'.'.join(map(str, version))}" in done.stderr
    assert "PYTHON=" in done.stderr
