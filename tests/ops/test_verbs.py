"""The verbs in the local runtime."""

import json
import re
import signal
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from slipway.ops import wait
from slipway.ops.settings import ROOT
from tests.harness.processes import Process, free_ports
from tests.live.sites import source
from tests.ops.conftest import Verbs


@pytest.mark.timeout(180)
def test_up_twice_reload_status_and_down(new_make: Verbs) -> None:
    """Up prints the address, the runtime and the workers; a second up changes nothing; down leaves nothing behind."""
    first = new_make("up")
    assert first.returncode == 0, first.stdout + first.stderr
    assert f"local processes, 2 workers\n\n  {new_make.url}" in first.stdout
    workers = json.loads((new_make.folder / "app" / "app.json").read_text())["serving"]

    second = new_make("up")
    assert second.returncode == 0, second.stdout + second.stderr
    assert json.loads((new_make.folder / "app" / "app.json").read_text())["serving"] == workers

    status = new_make("status")
    assert "app " in status.stdout
    assert "/readyz: 200" in status.stdout

    assert new_make("reload").returncode == 0
    assert not set(json.loads((new_make.folder / "app" / "app.json").read_text())["serving"]) & set(workers)

    down = new_make("down")
    assert down.returncode == 0, down.stdout + down.stderr
    assert new_make.pids() == []
    assert [path for path in new_make.folder.rglob("*") if path.is_socket()] == []
    assert wait.is_free("127.0.0.1", new_make.port)


def test_migrate_makes_the_tables_before_anything_runs(new_make: Verbs) -> None:
    """`make migrate` creates the tables, can be repeated, and reports a database that does not answer."""
    for _ in range(2):
        done = new_make("migrate")
        assert done.returncode == 0, done.stdout + done.stderr
    with closing(sqlite3.connect(new_make.folder / "data" / "slipway.db")) as database:
        assert database.execute("SELECT count(*) FROM users").fetchone() == (0,)

    away = new_make("migrate", DATABASE_URL=f"postgresql://slipway@127.0.0.1:{free_ports()}/slipway")
    assert away.returncode != 0
    assert "does not answer" in away.stderr


@pytest.mark.timeout(180)
def test_prove_keeps_every_promise(make: Verbs) -> None:
    """In under a minute `make prove` reloads, kills and stops under load; nothing is broken, no loss is noise."""
    assert make("up").returncode == 0
    start = time.monotonic()
    done = make("prove")

    assert done.returncode == 0, done.stdout + done.stderr
    table = [line for line in done.stdout.splitlines() if line.startswith(("  kept", "  too noisy"))]
    assert len(table) == 10
    assert not [line for line in table if "noisy" in line and " lose" in line]
    assert time.monotonic() - start < 60


@pytest.mark.suite
@pytest.mark.timeout(180)
def test_prove_tells_what_is_broken(make: Verbs, tmp_path: Path) -> None:
    """With an app that fails some requests, `make prove` says so and ends with an error."""
    (tmp_path / "failing.py").write_text(source(body="if scope['path'] == '/': raise RuntimeError('on purpose')"))
    up = make("up", APP="failing:application", PYTHONPATH=str(tmp_path), READY_PATH="/ready")
    assert up.returncode == 0, up.stdout + up.stderr
    done = make("prove")

    assert done.returncode != 0
    assert "BROKEN             steady load loses nothing" in done.stdout
    assert "kept               started again, it is ready" in done.stdout


@pytest.mark.timeout(120)
def test_the_baseline_comes_with_it(make: Verbs) -> None:
    """BASELINE=1 starts the WSGI app under its own nginx on the other port."""
    port = free_ports()
    up = make("up", BASELINE="1", BASELINE_PORT=str(port), BENCH_ENDPOINTS="1")

    assert up.returncode == 0, up.stdout + up.stderr
    assert (
        wait.get(f"http://127.0.0.1:{port}/json") == wait.get(f"{make.url}/json") == (200, {"message": "Hello, World!"})
    )


def test_an_occupied_port_is_named(make: Verbs, tmp_path: Path) -> None:
    """A port that belongs to another program is named, and nothing is started."""
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(make.port)]
    other = Process(command, tmp_path / "other.log", cwd=tmp_path)
    other.start()
    try:
        assert wait.until(lambda: not wait.is_free("127.0.0.1", make.port), 20), other.log()
        up = make("up")
    finally:
        other.stop(signal.SIGKILL)

    assert up.returncode != 0
    assert f"HTTP_PORT={make.port} on 127.0.0.1 is in use" in up.stderr
    assert make.pids() == []


def test_an_app_that_does_not_import_fails_with_its_reason(make: Verbs) -> None:
    """Up ends within a minute, shows the end of the log, and leaves nothing running."""
    start = time.monotonic()
    up = make("up", APP="no_such_module:app")

    assert up.returncode != 0
    assert time.monotonic() - start < 60
    assert "No module named 'no_such_module'" in up.stderr
    assert make.pids() == []


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("WEB_CONCURRENCY", "many", "a whole number from 1 to 1024"),
        ("HTTP_PORT", "0", "a whole number from 1 to 65535"),
        ("RUNTIME", "podman", "one of auto, docker, local"),
        ("GRACEFUL_TIMEOUT", "40", "TIMEOUT='30' is not allowed: more than GRACEFUL_TIMEOUT, which is 40"),
    ],
)
def test_a_wrong_setting_stops_up_with_one_line(make: Verbs, name: str, value: str, allowed: str) -> None:
    """A wrong setting is refused in one line with the variable, the value and what is allowed."""
    up = make("up", **{name: value})
    lines = [line for line in up.stderr.splitlines() if not line.startswith("make")]

    assert up.returncode != 0
    assert len(lines) == 1
    assert name in lines[0]
    assert value in lines[0]
    assert allowed in lines[0]


def test_help_lists_every_verb(make: Verbs) -> None:
    """`make help` shows each target with its text."""
    listed = make("help").stdout

    rules = "".join((ROOT / path).read_text() for path in ("Makefile", "bench/verbs.mk"))
    verbs = re.findall(r"^\.PHONY: (\S+)$", rules, re.MULTILINE)

    assert {"up", "test", "suites", "help"} <= {*verbs}
    assert [verb for verb in verbs if f"  make {verb} " not in listed] == []
