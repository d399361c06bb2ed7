"""The stack's own PostgreSQL and Redis in containers, each of which runs if the settings name it."""

from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

# docker-compose.yml has the same services, profiles and addresses; a test compares them.
DEFAULTS = {"DATABASE_URL": "postgresql://slipway@db/slipway", "BUS_URL": "redis://redis:6379/0"}
SERVICES = {"db": "DATABASE_URL", "redis": "BUS_URL"}


def wanted(variables: Mapping[str, str]) -> list[str]:
    """The services, which are also their profiles, that the addresses lead to."""
    found = addresses(variables)
    return [service for service, name in SERVICES.items() if service in _hosts(found[name])]


def addresses(variables: Mapping[str, str]) -> dict[str, str]:
    """DATABASE_URL and BUS_URL as the app gets them."""
    return {name: variables.get(name, "").strip() or default for name, default in DEFAULTS.items()}


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """What docker-compose.yml is filled in with for them; Redis's password is for no other Redis."""
    foreign = "redis" not in wanted(variables)
    file = variables.get("BUS_PASSWORD_FILE", "") or ("none" if foreign else "")
    return {**addresses(variables), "BUS_PASSWORD_FILE": file}


def _hosts(url: str) -> set[str]:
    """The servers that an address names; PostgreSQL's may name several, also as a parameter."""
    try:
        parts = urlsplit(url)
        named = [parts.netloc.rpartition("@")[2], *parse_qs(parts.query).get("host", [])]
    except ValueError:  # the app refuses it
        return set()
    return {host.partition(":")[0].lower() for value in named for host in value.split(",")}
