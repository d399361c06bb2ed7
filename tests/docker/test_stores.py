"""PostgreSQL and Redis in containers: only the app reaches them, by password, and they run only where asked for."""

import pytest

from slipway.ops import wait
from tests.docker.conftest import ANY_CHARACTERS, Containers
from tests.docker.stacks import PING

pytestmark = pytest.mark.timeout(120)

ALL = {"nginx", "app", "migrate", "db", "redis"}
SQLITE = {"DATABASE_URL": "sqlite:////data/slipway.db"}
NAMED = {"DATABASE_URL": "postgresql://slipway@db/slipway", "BUS_URL": "redis://redis:6379/0"}


@pytest.mark.parametrize(
    ("arguments", "variables", "services"),
    [
        ((), {}, ALL),
        ((), {"DATABASE_URL": "", "BUS_URL": ""}, ALL),
        ((), SQLITE, ALL - {"db"}),
        ((), {"BUS_URL": "embedded"}, ALL - {"redis"}),
        ((), {**SQLITE, "BUS_URL": "embedded"}, ALL - {"db", "redis"}),
        ((), {**NAMED, "COMPOSE_PROFILES": "db,redis,migrate"}, ALL),
        (("--profile", "baseline"), {}, ALL | {"baseline", "baseline-nginx"}),
        (
            ("--profile", "baseline"),
            {**SQLITE, "BUS_URL": "embedded"},
            ALL - {"db", "redis"} | {"baseline", "baseline-nginx"},
        ),
        (("--profile", "locust"), {}, ALL | {"locust-master", "locust-worker"}),
    ],
)
def test_compose_by_hand(
    containers: Containers, arguments: tuple[str, ...], variables: dict[str, str], services: set[str]
) -> None:
    """`docker compose` alone starts the stores that the settings ask for, and the migration."""
    found = containers.compose(*arguments, "config", "--services", **variables).split()

    assert {*found} == services


def test_redis_asks_for_its_password(containers: Containers) -> None:
    """Redis refuses commands without its password, which the app and the health check have."""
    refused = containers.compose("exec", "-T", "redis", "redis-cli", "ping")

    assert "NOAUTH" in refused
    assert containers.compose("exec", "-T", "redis", "sh", "-c", PING).strip() == "PONG"
    assert wait.get(f"{containers.url}/readyz")[1]["checks"]["bus"] == "pass"
    assert containers.inspect("{{.State.Health.Status}}", "redis") == "healthy"


@pytest.mark.parametrize("service", ["db", "redis", "app"])
@pytest.mark.parametrize("command", ["cat /proc/*/cmdline", "cat /proc/*/environ"], ids=["commands", "environments"])
def test_no_process_shows_a_password(containers: Containers, service: str, command: str) -> None:
    """No password is on a command line or in an environment, except while a health check of Redis runs."""
    said = containers.compose("exec", "-T", service, "sh", "-c", f"{command} 2>/dev/null | tr '\\0' '\\n' || :")

    assert "only-for-this-test" not in said
    assert service == "redis" or ANY_CHARACTERS not in said


@pytest.mark.parametrize(("store", "port"), [("db", 5432), ("redis", 6379)])
def test_nginx_reaches_the_app_alone(containers: Containers, store: str, port: int) -> None:
    """nginx can neither resolve a store's name nor reach its address; the app reaches both stores."""
    address = containers.inspect("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", store)
    connect = f"import socket; socket.create_connection(('{store}', {port}), 5)"

    assert containers.succeeds("exec", "-T", "app", "python", "-c", connect)
    assert not containers.succeeds("exec", "-T", "nginx", "getent", "hosts", store)
    assert not containers.succeeds("exec", "-T", "nginx", "curl", "-sm2", f"telnet://{address}:{port}")


def test_stores_have_no_way_out(containers: Containers) -> None:
    """The stores have no network but an internal one."""
    names = containers.inspect("{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}", "db").split()
    inside = containers.docker("network", "inspect", "--format", "{{.Internal}}", *names).split()

    assert inside == ["true"]


@pytest.mark.parametrize("service", ["nginx", "app", "db", "redis"])
def test_every_service_is_hardened(containers: Containers, service: str) -> None:
    """Every service runs without root or capabilities, writes to memory and volumes only, and has its log rotated."""
    template = (
        "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} "
        "{{gt .HostConfig.Memory 0}} {{.HostConfig.LogConfig.Config}}"
    )
    root = containers.compose("exec", "-T", service, "id", "-u").strip()

    assert root != "0"
    assert containers.inspect(template, service) == (
        "true [ALL] [no-new-privileges:true] true map[max-file:3 max-size:20m]"
    )
