"""One change at a time."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from slipway.ops import wait
from slipway.ops.change import BUSY, one_change
from slipway.ops.console import Failure
from slipway.ops.settings import ROOT
from tests.ops.conftest import Verbs

HOLD = """
import sys, time
from pathlib import Path
from slipway.ops.change import one_change

with one_change(Path(sys.argv[1]), "deploy"):
    print("held", flush=True)
    time.sleep(600)
"""


@contextmanager
def held(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run another process that is in the middle of a deploy."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"held\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("verb", ["up", "down", "reload", "deploy", "prove"])
def test_second_verb_names_the_first(make: Verbs, verb: str) -> None:
    """The second verb changes nothing, names the first, and ends with the exit code for "try again later"."""
    with held(make.folder) as first:
        second = make.module(verb)

    assert second.returncode == BUSY
    assert "`make deploy`" in second.stderr
    assert str(first.pid) in second.stderr
    assert make.pids() == []


@pytest.mark.parametrize("verb", ["status", "logs"])
def test_looking_is_no_change(make: Verbs, verb: str) -> None:
    """A verb that only looks does not wait."""
    with held(make.folder):
        assert make.module(verb).returncode != BUSY


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_lock_goes_with_its_holder(tmp_path: Path, number: signal.Signals) -> None:
    """However the first verb ends, nothing has to be unlocked afterwards."""
    with held(tmp_path) as first:
        with pytest.raises(Failure, match="is under way here"), one_change(tmp_path, "up"):
            pass
        os.kill(first.pid, number)
        assert wait.until(lambda: first.poll() is not None, 10)

    with one_change(tmp_path, "up"):
        assert (tmp_path / "change.lock").read_text().startswith("`make up`")
