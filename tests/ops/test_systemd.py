"""The systemd unit of `make service`."""

import configparser
import shutil
import subprocess
import sys

import pytest

from slipway.ops import systemd
from slipway.ops.settings import ROOT, StackSettings
from tests.ops.conftest import Verbs

SETTINGS = StackSettings.of({"RUN_DIR": "/srv/a b/.run"}, {})


def read(text: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return parser


@pytest.mark.parametrize(("system", "target"), [(True, "multi-user.target"), (False, "default.target")])
def test_unit(system: bool, target: str) -> None:
    """The unit runs the verbs in this folder, and is wanted by a target that a boot reaches."""
    unit = read(systemd.unit(SETTINGS, {}, system=system))

    assert unit["Service"]["WorkingDirectory"] == str(ROOT).replace("%", "%%")
    assert unit["Service"]["ExecStart"] == f'"{sys.executable}" -m slipway.ops up'
    assert unit["Service"]["ExecStop"].endswith("-m slipway.ops down")
    assert unit["Install"]["WantedBy"] == target


@pytest.mark.parametrize(
    ("text", "word", "argument"),
    [
        ("plain", '"plain"', '"plain"'),
        ("a b", '"a b"', '"a b"'),
        ("100%", '"100%%"', '"100%%"'),
        ('say "hi"', r'"say \"hi\""', r'"say \"hi\""'),
        ("back\\slash", r'"back\\slash"', r'"back\\slash"'),
        ("$HOME", '"$HOME"', '"$$HOME"'),
        ("two\nlines", r'"two\nlines"', r'"two\nlines"'),
    ],
)
def test_quoting(text: str, word: str, argument: str) -> None:
    """A value keeps its meaning, whatever characters it has."""
    assert systemd.quoted(text) == word
    assert systemd.quoted(text, command=True) == argument


def test_verb(make: Verbs) -> None:
    """The verb prints what to type; the unit has the caller's settings, and only its owner can read it."""
    done = make.module("service")
    unit = next(make.folder.glob("*.service"))

    assert done.returncode == 0, done.stderr
    assert f"enable --now {unit}" in done.stdout
    assert f'Environment="HTTP_PORT={make.port}"' in unit.read_text()
    assert unit.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_takes_it(make: Verbs) -> None:
    """systemd's own check of the unit reports nothing."""
    make.module("service")
    unit = next(make.folder.glob("*.service"))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
