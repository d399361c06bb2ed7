"""The stores that the settings ask for in containers, and their part of docker-compose.yml."""

import re
from typing import Any

import pytest
from ruamel.yaml import YAML

from slipway.ops import backends
from slipway.ops.engine import Engine
from slipway.ops.settings import ROOT, StackSettings

BOTH = ["db", "redis"]
CASES = [
    ({}, BOTH),
    ({"DATABASE_URL": "", "BUS_URL": " "}, BOTH),
    ({"DATABASE_URL": "postgresql://slipway@db/slipway"}, BOTH),
    ({"DATABASE_URL": "postgresql+psycopg://me:p%40w@DB:5432/x?connect_timeout=3"}, BOTH),
    ({"DATABASE_URL": "postgresql://me@/x?host=db:5432&host=elsewhere:5432"}, BOTH),
    ({"DATABASE_URL": "postgresql://me@elsewhere,db/x"}, BOTH),
    ({"BUS_URL": "redis://redis"}, BOTH),
    ({"BUS_URL": "redis://:own@redis:6379/3"}, BOTH),
    ({"DATABASE_URL": "sqlite:////data/x.db"}, ["redis"]),
    ({"DATABASE_URL": "postgresql://db@elsewhere/db"}, ["redis"]),
    ({"DATABASE_URL": "postgresql://slipway@db.example.com/slipway"}, ["redis"]),
    ({"DATABASE_URL": "postgresql://[::1]/x"}, ["redis"]),
    ({"DATABASE_URL": "postgresql://[bad"}, ["redis"]),
    ({"BUS_URL": "embedded"}, ["db"]),
    ({"BUS_URL": "unix:///run/redis/redis.sock"}, ["db"]),
    ({"BUS_URL": "rediss://redis.example.com:6380/0"}, ["db"]),
    ({"DATABASE_URL": "sqlite:////data/x.db", "BUS_URL": "embedded"}, []),
]


@pytest.fixture(scope="module")
def compose() -> Any:
    """docker-compose.yml with anchors and merges resolved."""
    return YAML(typ="safe").load(ROOT / "docker-compose.yml")


@pytest.mark.parametrize(("variables", "wanted"), CASES)
def test_stores_run_where_an_address_leads_to_them(variables: dict[str, str], wanted: list[str]) -> None:
    """Stores run only where an address leads to them; each compose command has their profiles, and `down` has all."""
    engine = Engine(StackSettings.of(variables, {}))

    assert backends.wanted(variables) == wanted
    assert [word for word in engine.command("up") if word.startswith("--profile")] == [f"--profile={n}" for n in wanted]
    assert {"--profile=db", "--profile=redis"} < {*engine.command("down")}


@pytest.mark.parametrize(
    ("variables", "file"),
    [
        ({}, ""),
        ({"BUS_URL": "redis://redis:6379/1"}, ""),
        ({"BUS_URL": "redis://elsewhere:6379/0"}, "none"),
        ({"BUS_URL": "redis://elsewhere:6379/0", "BUS_PASSWORD_FILE": "/run/secrets/mine"}, "/run/secrets/mine"),
    ],
)
def test_password_of_redis_is_for_no_other(variables: dict[str, str], file: str) -> None:
    """A Redis server elsewhere is not given the password."""
    assert backends.environment(variables)["BUS_PASSWORD_FILE"] == file


def test_both_sides_name_the_same(compose: Any) -> None:
    """Services, profiles and addresses are those of docker-compose.yml."""
    for service, name in backends.SERVICES.items():
        passed = f"${{{name}:-{backends.DEFAULTS[name]}}}"
        others = [f"${{{name}:+{service}-}}{profile}" for profile in ("", "baseline", "locust")]
        assert compose["services"][service]["profiles"] == [service, *others]
        assert compose["services"]["app"]["environment"][name] == passed


def test_every_service_is_hardened(compose: Any) -> None:
    """Services have no capabilities, can write to memory and volumes only, and have limits and a rotated log."""
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["pids_limit"] <= 512, name
        assert service["mem_limit"], name
        assert {"max-size", "max-file"} == {*service["logging"]["options"]}, name
        if name not in ("app", "baseline", "migrate", "locust-master", "locust-worker"):  # set in their images
            assert service["user"], name


def test_nginx_shares_no_network_with_what_it_need_not_reach(compose: Any) -> None:
    """nginx reaches the app by sockets and shares no network with it, and the stores have no way out."""
    networks = {name: {*service["networks"]} for name, service in compose["services"].items()}

    assert networks["nginx"] == networks["baseline-nginx"] == {"front"}
    assert networks["db"] == networks["redis"] == {"stores"}
    assert networks["app"] == networks["migrate"] == {"default", "stores"}
    assert compose["networks"]["stores"] == {"internal": True}


def test_no_command_or_variable_holds_a_password(compose: Any) -> None:
    """No command or variable, which `docker inspect` shows, holds a password; secrets are files."""
    for service in compose["services"].values():
        for name, value in service.get("environment", {}).items():
            assert not re.search(r"\$\{\w*PASSWORD\}|\$\{\w*PASSWORD:", str(value)), name
        assert "${" not in str(service.get("command", "")) + str(service.get("healthcheck", ""))
