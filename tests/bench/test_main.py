"""`make bench` can be interrupted and resumed.

Rules: loopback only, and only processes started here are ended.
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.figures.results import Results
from bench.run import about
from bench.run.arms import ALWAYS
from bench.run.plan import QUICK
from slipway.ops import wait
from slipway.ops.settings import ROOT

pytestmark = pytest.mark.timeout(120)

BEGIN_SECONDS = 45.0  # to verify all arms on a busy machine, and to reach the first step


def interrupted(results: Results, step: int) -> tuple[int, str]:
    """Resume a run and send it Ctrl-C during a step; return its exit code and its output."""
    log = results.logs / "search-asgi" / "nginx.log"
    env = {**os.environ, "RESUME": str(results.folder)}
    process = subprocess.Popen(
        [sys.executable, "-m", "bench", "run"], cwd=ROOT, env=env, start_new_session=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        assert wait.until(lambda: log.exists() and f"run={step}" in log.read_text(errors="replace"), BEGIN_SECONDS)
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    return process.returncode, output


def servers_of(folder: Path) -> list[str]:
    """Return the command lines of processes that still use the database of a results folder."""
    mark = f"DATA_DIR={folder / 'data'}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in path.read_bytes():
                found.append((path.parent / "cmdline").read_text())
        except OSError:
            continue  # the process has ended
    return found


@pytest.mark.suite  # two runs, each up to its first steps
def test_an_interrupted_run_keeps_what_it_has_stops_its_servers_and_goes_on(tmp_path: Path) -> None:
    results = Results(tmp_path / "r")
    results.create(about.facts(QUICK, ALWAYS, seed=1, objective=100))

    code, output = interrupted(results, step=2)

    assert code == 130, output
    assert f"make bench RESUME={results.folder}" in output
    assert [path.name for path in results.raw.iterdir()] == ["00001.json"]
    assert servers_of(results.folder) == []

    first = (results.raw / "00001.json").read_bytes()
    code, output = interrupted(results, step=3)

    assert code == 130, output
    assert "quick: 23 starts, about 2 min" in output
    assert sorted(path.name for path in results.raw.iterdir()) == ["00001.json", "00002.json"]
    assert (results.raw / "00001.json").read_bytes() == first
    assert servers_of(results.folder) == []


@pytest.mark.suite
def test_an_app_of_ones_own_is_measured_against_itself() -> None:
    """An app without a twin is measured by requests for its first page, and two runs are compared."""
    env = {**os.environ, "APP": "bench.layers.apps.bare:get_user", "QUICK": "1"}
    folders = []
    for _ in range(2):
        output = subprocess.run(
            [sys.executable, "-m", "bench", "run"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
        ).stdout
        folders.append(Path(output.rpartition("report: ")[2].strip()).parent)
        assert "measured by itself" in output
    compared = subprocess.run(
        [sys.executable, "-m", "bench", "compare", *map(str, folders)], cwd=ROOT, capture_output=True, text=True
    ).stdout
    for folder in folders:
        shutil.rmtree(folder)

    assert "CPU in µs" in compared
    assert "own" in compared


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"RESUME": "nowhere"}, "there is no result in nowhere"),
        ({"P99": "fast"}, "P99='fast' is not allowed: a whole number from 1 to 60000"),
        ({"SERVERS": "apache"}, "'apache' is unknown; there are asgi, wsgi-sync"),
    ],
)
def test_a_wrong_setting_is_named_before_anything_runs(settings: dict[str, str], message: str) -> None:
    command = [sys.executable, "-m", "bench", "run"]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **settings}, capture_output=True, text=True, timeout=30)

    assert done.returncode == 1
    assert message in done.stderr
