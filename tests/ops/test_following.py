"""`make logs`: every program's lines, readable, or those of one request by its id."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from slipway.logs.console import readable
from slipway.ops.following import Shown
from slipway.ops.settings import ROOT

ACCESS = {"logger": "access", "method": "GET", "path": "/a", "status": 200, "request_id": "id-1"}


def line(**record: object) -> bytes:
    return json.dumps(record).encode() + b"\n"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (line(**ACCESS), b"GET /a 200 - id-1"),
        (b"app-1    | " + line(**ACCESS), b"GET /a 200 - id-1"),
        (b"\x1b[2Kapp-1    | " + line(**ACCESS), b"GET /a 200 - id-1"),
        (b"db-1     | 2026-11-26 LOG:  ready\n", b"db-1           2026-11-26 LOG:  ready"),
        (b"plain text | with a bar\n", b"plain text | with a bar"),
        (b"==> .run/log/app.log <==\n", b""),
        (b"\n", b""),
        (b"\xff\xfe\n", b"\xff\xfe"),
    ],
)
def test_lines(given: bytes, expected: bytes) -> None:
    """Records are shown readable, with or without compose's prefix; other lines stay, with their program's name."""
    shown = Shown("", readable).one(given)

    assert shown.rstrip().endswith(expected)
    assert bool(shown) == bool(expected)


def test_one_request() -> None:
    """With an id only records that have it are shown, with the lines below them."""
    shown = Shown("id-1", readable)
    lines = [line(**ACCESS), line(message="other"), b"10:00:00 ERROR app failed id-1\n", b"    Traceback\n", b"next\n"]

    assert [bool(shown.one(each)) for each in lines] == [True, False, True, True, False]


def test_files_are_followed(tmp_path: Path) -> None:
    """The lines of rotated files come first, then the output of the command, whose end ends it."""
    old = tmp_path / "app.log.1"
    old.write_bytes(line(**ACCESS, duration=0.001) + line(message="other"))
    script = f"""
import os, sys
from pathlib import Path
from slipway.ops.following import follow
command = ["printf", '{{"message":"of id-1"}}\\n{{"message":"none"}}\\n']
sys.exit(follow(command, os.environ, "id-1", [Path({str(old)!r})]))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, env={**os.environ})

    assert done.returncode == 0, done.stderr
    assert [each.split()[-2:] for each in done.stdout.splitlines()] == [["ms", "id-1"], ["of", "id-1"]]
