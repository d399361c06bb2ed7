"""Slipway's code must follow Slipway's rules; a project's code and tests only the rules that its author configures."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from slipway.ops.rules import OWN, Rules
from slipway.ops.settings import ROOT
from tests.harness.copies import with_types
from tests.harness.walks import walk

APP = """
import os,  sys
l = lambda scope: None
async def application(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})
"""
ONE = """
import warnings
import shop
def test_one( ):
    warnings.warn("of a library's")
    assert shop.l(1) is None
"""
STRICT = """\"\"\"As one of ours.\"\"\"

import warnings


def test_strict() -> None:
    \"\"\"Warns.\"\"\"
    warnings.warn("of a library's", stacklevel=1)
"""
OURS = 'extend = "../slipway/ruff.toml"\n'


# Left out for speed: the shipped app and most tests, which have the same rules as the rest.
LEFT_OUT = [
    "app",
    *(f"tests/{name}" for name in ("app", "bench", "docker", "examples", "live", "loadtest", "ops", "own")),
]


def tracked(*patterns: str) -> list[Path]:
    done = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / line for line in done.stdout.splitlines()]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A project with its own app in place of the shipped one, and one test of it."""
    tree = tmp_path / "tree"
    for path in tracked():
        name = path.relative_to(ROOT)
        if not any(name.is_relative_to(folder) for folder in LEFT_OUT):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, tree / name)
    with_types(tree)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "venv").symlink_to(Path(sys.executable).parent.parent)
    (tree / "shop.py").write_text(APP)
    (tree / "tests" / "one.py").write_text(ONE)
    change(tree, 'app = "app.main:application"', 'app = "shop:application"')
    return tree


def change(tree: Path, old: str, new: str) -> None:
    text = (tree / "pyproject.toml").read_text()
    assert old in text
    (tree / "pyproject.toml").write_text(text.replace(old, new))


def make(tree: Path, verb: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    env = {**os.environ, "RUN_DIR": str(tree.parent / "run"), **variables}
    command = ["make", f"PYTHON={sys.executable}", verb]
    return subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, timeout=55)


def test_one_test_of_an_own_app(copy: Path) -> None:
    """A single test can be run, and its style and its warning break no rule, though Slipway's rules forbid both."""
    done = make(copy, "test", PYTEST="tests/one.py")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert done.stdout.count("test session starts") == 1


@pytest.mark.suite
def test_ours_beside_an_own_app(copy: Path) -> None:
    """Slipway's tests that need only the server run, with warnings as errors; those of the shipped app are left out."""
    (copy / "tests" / "one.py").rename(copy / "tests" / "test_one.py")
    (copy / "tests" / "logs" / "test_strict.py").write_text(STRICT)
    done = make(copy, "test", PYTEST="-k 'test_one or test_strict or test_layering or test_slots'")

    assert "FAILED tests/logs/test_strict.py::test_strict - UserWarning" in done.stdout
    assert re.search(r"1 failed, \d+ passed", done.stdout), done.stdout


@pytest.mark.parametrize("words", walk(["tests/one.py -k two", "-k no_such_name"]))
def test_a_selection_without_tests_fails(copy: Path, words: str) -> None:
    """A selection without tests is an error, since a name may be misspelt."""
    done = make(copy, "test", PYTEST=words)

    assert done.returncode != 0
    assert f"no test is selected by {words}" in done.stderr


CONFIGURED = {
    "ruff": ("[tool.ruff.lint]\nselect = ['F401']\n", "F401"),
    "format": ("[tool.ruff.format]\nquote-style = 'single'\n", "would be reformatted"),
    "mypy": ("[tool.mypy]\ndisallow_untyped_defs = true\n", "no-untyped-def"),
}


@pytest.mark.parametrize(("configured", "found"), walk(CONFIGURED, "ruff"))
def test_rules_of_an_author_hold(copy: Path, configured: str, found: str) -> None:
    """The settings of ruff and mypy in pyproject.toml apply to the project's code."""
    pyproject = copy / "pyproject.toml"
    pyproject.write_text(pyproject.read_text() + "\n" + configured)
    done = make(copy, "lint")

    assert done.returncode != 0
    assert found in done.stdout


def tree_of(folder: Path, files: Mapping[str, str]) -> Rules:
    for name, text in {OWN: "", "pyproject.toml": "", **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return Rules.of(folder)


def test_what_is_ours_says_so(tmp_path: Path) -> None:
    """A folder is Slipway's if its ruff.toml extends Slipway's; another ruff.toml is its author's."""
    files = {"app/ruff.toml": OURS, "shop/ruff.toml": "line-length = 80\n", "own/app.py": "", "gunicorn.conf.py": ""}
    rules = tree_of(tmp_path, files)

    assert rules.ours == ("app", "slipway", "gunicorn.conf.py")
    assert rules.theirs == ("shop",)
    assert rules.has_the_shipped_app


def test_an_app_in_the_place_of_the_shipped_one_is_not_ours(tmp_path: Path) -> None:
    """A project's folder named app is not taken for the shipped app."""
    assert not tree_of(tmp_path, {"app/main.py": ""}).has_the_shipped_app


def test_all_that_is_shipped_is_ours() -> None:
    """Each shipped Python file is under Slipway's rules, except for the apps of examples/."""
    ours = [*Rules.of().ours, "examples"]
    loose = [path for path in tracked("*.py") if not any(path.is_relative_to(ROOT / name) for name in ours)]

    assert loose == []
