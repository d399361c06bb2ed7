"""The stack's own PostgreSQL and Redis in containers; each runs if DATABASE_URL or BUS_URL names it."""

from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

# docker-compose.yml has the same services, profiles and addresses; a test compares them.
DEFAULTS = {"DATABASE_URL": "postgresql://slipway@db/slipway", "BUS_URL": "redis://redis:6379/0"}
SERVICES = {"db": "DATABASE_URL", "redis": "BUS_URL"}


def wanted(variables: Mapping[str, str]) -> list[str]:
    """Return the services that the addresses name; each is also the name of its compose profile."""
    found = addresses(variables)
    return [service for service, name in SERVICES.items() if service in _hosts(found[name])]


def addresses(variables: Mapping[str, str]) -> dict[str, str]:
    """Return DATABASE_URL and BUS_URL as the app gets them."""
    return {name: variables.get(name, "").strip() or default for name, default in DEFAULTS.items()}


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return their variables for docker-compose.yml; another Redis does not get the password of the stack's own."""
    foreign = "redis" not in wanted(variables)
    file = variables.get("BUS_PASSWORD_FILE", "") or ("none" if foreign else "")
    return {**addresses(variables), "BUS_PASSWORD_FILE": file}


def _hosts(url: str) -> set[str]:
    """Return the hosts of a URL; PostgreSQL's may have several, also in its `host` parameter."""
    try:
        parts = urlsplit(url)
        named = [parts.netloc.rpartition("@")[2], *parse_qs(parts.query).get("host", [])]
    except ValueError:  # the app rejects the URL
        return set()
    return {host.partition(":")[0].lower() for value in named for host in value.split(",")}
