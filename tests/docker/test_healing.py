"""nginx follows the app in any order of starts: failures heal by themselves, and `docker compose ps` is right."""

import os
import signal
from collections.abc import Iterator, Sequence
from itertools import permutations

import pytest

from slipway.ops import wait
from tests.docker.conftest import Containers

pytestmark = pytest.mark.timeout(300)

ALL = ("nginx", "app", "redis", "db")
START_SECONDS = 40  # until the app in its container is ready, on a busy machine
HEALED_SECONDS = 5  # from then until clients are served, and twice that until the health checks agree


@pytest.fixture(autouse=True)
def stack(containers: Containers) -> Iterator[Containers]:
    """The stack, all of which is healthy before and after the test."""
    healed(containers)
    yield containers
    healed(containers)


def serves(containers: Containers) -> bool:
    return containers.status("/readyz") == 200


def statuses(containers: Containers) -> dict[str, str]:
    """Return each service's status in `docker compose ps`."""
    rows = containers.compose("ps", "--all", "--format", "{{.Service}}\t{{.Status}}").splitlines()
    return dict(row.split("\t") for row in rows)


def all_healthy(containers: Containers) -> bool:
    said = statuses(containers)
    return {*said} == {*ALL} and all("(healthy)" in status for status in said.values())


def healed(containers: Containers) -> None:
    """Check that the app gets ready, clients are served within 5 s and all services are reported healthy."""
    ready = ("exec", "-T", "app", "python", "-m", "slipway.serving.ctl", "ready")
    assert wait.until(lambda: containers.succeeds(*ready), START_SECONDS), containers.log("app")[-10:]
    assert wait.until(lambda: serves(containers), HEALED_SECONDS), containers.log("nginx")[-10:]
    assert wait.until(lambda: all_healthy(containers), 2 * HEALED_SECONDS), statuses(containers)


@pytest.mark.parametrize("service", ALL)
def test_one_restarted(containers: Containers, service: str) -> None:
    """The stack heals after the restart of any one service."""
    containers.compose("restart", service)

    healed(containers)


@pytest.mark.parametrize("service", ALL)
def test_status_of_one_stopped(containers: Containers, service: str) -> None:
    """`make status` succeeds for a whole stack; it fails and names the part if one is stopped."""
    whole = containers.make("status")
    containers.compose("stop", "--timeout", "20", service)
    try:
        part = containers.make("status")
    finally:
        containers.compose("start", service)
    healed(containers)

    assert whole.returncode == 0, whole.stdout + whole.stderr
    assert part.returncode != 0
    assert f"slipway: {service} is stopped; `make up` starts it again" in part.stdout + part.stderr


@pytest.mark.parametrize("order", [*permutations(("nginx", "app")), ALL, ALL[::-1]], ids="-".join)
def test_restarted_one_after_another(containers: Containers, order: Sequence[str]) -> None:
    """The stack heals after restarts without compose's order, as done by an engine that was restarted."""
    for service in order:
        containers.docker("restart", "--time", "30", containers.container(service))

    healed(containers)


@pytest.mark.parametrize("order", [ALL, ALL[::-1], ("nginx", "db", "redis", "app")], ids="-".join)
def test_stopped_together_and_started_in_any_order(containers: Containers, order: Sequence[str]) -> None:
    """The stack heals after a start in any order, with the volume of sockets empty and nginx without a slot."""
    ids = {service: containers.container(service) for service in ALL}
    containers.docker("stop", "--time", "30", *ids.values())
    for service in order:
        containers.docker("start", ids[service])

    healed(containers)


@pytest.mark.parametrize("services", [("nginx",), ("app",), ("redis",), ("db",), ("app", "nginx"), ALL], ids="-".join)
def test_killed(containers: Containers, services: Sequence[str]) -> None:
    """The stack heals when the first process of a container dies and the engine starts it again."""
    pids = [int(containers.inspect("{{.State.Pid}}", service)) for service in services]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert wait.until(
        lambda: all(containers.inspect("{{.State.Pid}}", service) not in map(str, [0, *pids]) for service in services),
        20,
    )

    healed(containers)


def test_paused_app_is_told(containers: Containers) -> None:
    """nginx is unhealthy while the app is paused, and both are healthy once it resumes."""
    containers.compose("pause", "app")
    try:
        assert wait.until(lambda: "(unhealthy)" in statuses(containers)["nginx"], 30), statuses(containers)
        assert "Paused" in statuses(containers)["app"]
    finally:
        containers.compose("unpause", "app")

    healed(containers)


@pytest.mark.parametrize("service", ["nginx", "redis", "db"])
def test_paused(containers: Containers, service: str) -> None:
    """A paused service continues where it was, and the stack heals."""
    containers.compose("pause", service)
    assert "Paused" in statuses(containers)[service]
    containers.compose("unpause", service)

    healed(containers)


def test_stopped_app_is_told(containers: Containers) -> None:
    """Without an app nginx answers 502 and is not healthy."""
    containers.compose("stop", "app")
    try:
        assert wait.until(lambda: "(unhealthy)" in statuses(containers)["nginx"], 30), statuses(containers)
        assert wait.get(f"{containers.url}/")[0] == 502
    finally:
        containers.compose("start", "app")

    healed(containers)


def test_replaced_app(containers: Containers) -> None:
    """nginx serves an app container that compose recreates with other sockets, and stays the same container."""
    nginx, app = (containers.container(service) for service in ("nginx", "app"))
    containers.compose("up", "--detach", "--force-recreate", "--no-deps", "app")

    healed(containers)
    assert containers.container("app") != app
    assert containers.container("nginx") == nginx


def test_nginx_as_an_operator_types_it(containers: Containers) -> None:
    """`nginx -t` and `nginx -s reload` work in the container without further arguments."""
    assert containers.succeeds("exec", "-T", "nginx", "nginx", "-t")
    assert containers.succeeds("exec", "-T", "nginx", "nginx", "-s", "reload")
