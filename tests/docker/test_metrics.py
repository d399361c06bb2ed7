"""Metrics of the containers: at a private address, with nginx's figures, and scraped by `make observe`."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from slipway.metrics.exposition import families
from slipway.ops import wait
from slipway.ops.samples import Samples
from tests.docker.conftest import VERB_SECONDS, Containers
from tests.harness.processes import free_ports

pytestmark = pytest.mark.timeout(300)
PORT = "9464"


def private_address(containers: Containers) -> str:
    networks = json.loads(containers.inspect("{{json .NetworkSettings.Networks}}"))
    return f"http://{networks[f'{containers.project}_default']['IPAddress']}:{PORT}/metrics"


def scraped(containers: Containers) -> Samples:
    return Samples(httpx.get(private_address(containers)).raise_for_status().text)


def test_private_address(containers: Containers) -> None:
    """All metrics are served on the containers' own network; neither a port of the host nor nginx leads to them."""
    before = scraped(containers)
    for _ in range(5):
        assert httpx.get(f"{containers.url}/version").status_code == 200
    after = scraped(containers)
    bindings = json.loads(containers.inspect("{{json .HostConfig.PortBindings}}")) or {}

    assert families() <= {each.name for each in after.all}
    requests = {"http_route": "/version", "http_response_status_class": "2xx"}
    name = "http_server_request_duration_seconds_count"
    assert after.sum(name, **requests) - before.sum(name, **requests) == 5
    assert after.sum("nginx_up") == 1
    assert after.sum("nginx_http_requests_total") - before.sum("nginx_http_requests_total") >= 5 + 1
    assert bindings == {}
    assert containers.status("/metrics") == 404


def test_after_nginx_was_killed(containers: Containers) -> None:
    """The socket that a killed nginx leaves behind does not prevent the next start."""
    containers.compose("kill", "--signal", "SIGKILL", "nginx")
    away = scraped(containers)
    containers.compose("start", "nginx")

    assert away.sum("nginx_up") == 0
    assert wait.until(lambda: containers.status("/version") == 200, 30), containers.log("nginx")[-5:]
    assert scraped(containers).sum("nginx_up") == 1


@pytest.fixture
def prometheus(containers: Containers) -> Iterator[str]:
    """The query address of `make observe`, which is ended by Ctrl-C to its whole process group."""
    port = str(free_ports())
    process = subprocess.Popen(
        ["make", f"PYTHON={sys.executable}", "observe"],
        cwd=containers.root,
        env={**containers.env, "PROMETHEUS_PORT": port},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )
    yield f"http://127.0.0.1:{port}/api/v1/query"
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    process.wait(VERB_SECONDS)


@pytest.mark.suite
def test_observed(containers: Containers, prometheus: str) -> None:
    """Prometheus finds the app's container and, after a deploy, its successor."""

    def instances() -> list[str]:
        with suppress(httpx.HTTPError):  # while it starts
            found = httpx.get(prometheus, params={"query": "nginx_up == 1"}).raise_for_status().json()
            return [each["metric"]["instance"] for each in found["data"]["result"]]
        return []

    def is_scraped() -> bool:
        return any(f"//{instance}/" in private_address(containers) for instance in instances())

    assert wait.until(is_scraped, 30)
    assert containers.make("deploy").returncode == 0
    assert wait.until(is_scraped, 30)


def test_top(containers: Containers) -> None:
    """`make top` shows the same table as outside containers."""
    venv = containers.folder / "venv"
    venv.symlink_to(Path(sys.executable).parent.parent)  # otherwise the verb creates one, which takes half a minute
    done = containers.make("top", ONCE="1", COLUMNS="80")
    venv.unlink()

    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 workers ready" in done.stdout
    assert "nginx: " in done.stdout
