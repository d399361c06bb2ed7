"""`make observe`, `make top` and `make logs` on a running stack: they show what the stack does."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from slipway.ops import wait
from slipway.ops.observe import FOLDER
from tests.harness.following import followed
from tests.harness.processes import free_ports, short_folder
from tests.ops.conftest import Verbs

pytestmark = pytest.mark.timeout(120)
SECONDS = 30.0


@pytest.fixture(scope="module")
def stack() -> Iterator[Verbs]:
    with short_folder() as folder:
        verbs = Verbs(folder)
        verbs.migrate()
        verbs.settings |= {"METRICS_PORT": str(free_ports()), "PROMETHEUS_PORT": str(free_ports())}
        done = verbs("up")
        assert done.returncode == 0, done.stdout + done.stderr
        yield verbs
        verbs("down")


class Prometheus:
    """The Prometheus of `make observe`, queried by HTTP."""

    def __init__(self, port: str) -> None:
        self._url = f"http://127.0.0.1:{port}"

    def text(self, path: str) -> str:
        with urllib.request.urlopen(f"{self._url}{path}", timeout=5) as answer:
            return str(answer.read().decode())

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return the current labels and values; nothing while it starts."""
        with suppress(OSError):
            found = json.loads(self.text("/api/v1/query?" + urllib.parse.urlencode({"query": expression})))
            return [(each["metric"], float(each["value"][1])) for each in found["data"]["result"]]
        return []

    def rules(self) -> list[dict[str, Any]]:
        groups = json.loads(self.text("/api/v1/rules"))["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]


@contextmanager
def observed(stack: Verbs) -> Iterator[Prometheus]:
    """Run `make observe` in a process group of its own, and end it by Ctrl-C to the whole group."""
    command = ["make", f"PYTHON={sys.executable}", "observe"]
    log = stack.folder / "observe.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=stack.root,
            env=stack.environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            process_group=0,
        )
    try:
        prometheus = Prometheus(stack.settings["PROMETHEUS_PORT"])
        scraped = wait.until(lambda: prometheus.query('up{job="slipway"} == 1') or process.poll() is not None, SECONDS)
        assert scraped and process.poll() is None, log.read_text()
        yield prometheus
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        process.wait(SECONDS)


def test_prometheus(stack: Verbs) -> None:
    """The stack is a target with nginx's figures, every rule is evaluated, and the dashboard shows numbers."""
    for _ in range(5):
        assert wait.get(f"{stack.url}/version")[0] == 200
    with observed(stack) as prometheus:
        of_nginx = prometheus.query("nginx_http_requests_total")
        of_workers = prometheus.query('sum(http_server_request_duration_seconds_count{http_route="/version"})')
        evaluated = wait.until(lambda: all(rule["health"] == "ok" for rule in prometheus.rules()), SECONDS)

        def shows_that_nothing_failed() -> bool:
            """Return whether the rate of errors is shown, which takes two scrapes with requests between them."""
            assert wait.get(f"{stack.url}/version")[0] == 200
            return "<td>5xx</td><td>0%</td>" in prometheus.text("/consoles/slipway.html")

        of_none = wait.until(shows_that_nothing_failed, SECONDS)
        dashboard = prometheus.text("/consoles/slipway.html")

    assert evaluated and of_none
    assert of_nginx[0][1] >= 5
    assert of_workers[0][1] == 5
    panels = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
    assert [panel["title"] for panel in panels if panel["title"].replace("'", "&#x27;") not in dashboard] == []
    assert re.search(r"<td>ready</td><td>2</td>", dashboard)
    assert "<td>slot 1</td>" in dashboard


def test_port_in_use(stack: Verbs) -> None:
    """A port in use is reported in one line that names the setting."""
    done = stack("observe", PROMETHEUS_PORT=str(stack.port))

    assert done.returncode != 0
    assert f"PROMETHEUS_PORT={stack.port} on 127.0.0.1 is in use" in done.stderr


def test_top(stack: Verbs) -> None:
    """`make top` shows a row of figures for each slot, and nginx above them, in whole lines of 80 columns."""
    assert wait.get(f"{stack.url}/version")[0] == 200
    done = stack("top", ONCE="1", COLUMNS="80", MAKELEVEL="1")

    assert done.returncode == 0, done.stderr
    assert re.search(r"^2 of 2 workers ready · reloads: \d+ done, 0 refused", done.stdout, re.MULTILINE)
    assert re.search(r"^nginx: \d+ connections \(\d+ waiting\), \d+ req/s", done.stdout, re.MULTILINE)
    assert "slot req/s 5xx/s p50 ms p99 ms open sockets queue MiB CPU % lag ms" in re.sub(" +", " ", done.stdout)
    assert done.stdout.endswith("\n")
    rows = [line.split() for line in done.stdout.splitlines() if re.match(r"[01] ", line)]
    assert [row[0] for row in rows] == ["0", "1"]
    assert all(len(row) == 11 and float(row[8]) > 10 for row in rows), done.stdout


def test_logs_of_one_request(stack: Verbs) -> None:
    """With an id both records of one request are shown, readable, and nothing of any other."""
    asked = [urllib.request.urlopen(f"{stack.url}/version", timeout=5) for _ in range(3)]
    request_id = asked[1].headers["x-request-id"]
    lines = followed("logs", stack.root, stack.environment(REQUEST=request_id), request_id, 2)

    assert sorted(line.split()[2] for line in lines if "GET /version 200" in line) == ["access", "nginx"]
    assert all(request_id in line for line in lines if not line.startswith("make"))


def test_logs_of_all(stack: Verbs) -> None:
    """Without an id the last records of nginx and of the server are shown, each as one readable line."""
    assert stack("reload").returncode == 0  # the server logs it
    with urllib.request.urlopen(f"{stack.url}/version", timeout=5) as answer:
        request_id = answer.headers["x-request-id"]
    lines = followed("logs", stack.root, stack.environment(), request_id, 2)

    assert sorted(line.split()[2] for line in lines if request_id in line) == ["access", "nginx"]
    assert any("Booting worker" in line or "startup complete" in line for line in lines)
