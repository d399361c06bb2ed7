"""The real servers that hold what workers share, and the app on top of them: each test runs on both back ends.

Rules: traffic stays on 127.0.0.1 and unix sockets; every wait has an end; nothing is ended but what was started here.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from soak import servers
from soak.client import Address
from soak.servers import Postgres, Redis
from soak.stack import Nginx, Server, behind_nginx, serving


@dataclass
class Backend:
    """Where the state lies: settings of the app, and the servers that a test may break."""

    name: str
    env: dict[str, str] = field(default_factory=dict)
    postgres: Postgres | None = None
    redis: Redis | None = None


@dataclass
class Stack:
    """gunicorn and nginx, with their state on one of the back ends."""

    server: Server
    nginx: Nginx
    backend: Backend

    @property
    def address(self) -> Address:
        return self.nginx.address

    @property
    def slots(self) -> list[Address]:
        return [self.server.address(slot) for slot in range(self.server.workers)]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with servers.postgres(max_connections="60") as server:
        yield server


@pytest.fixture(scope="session")
def redis() -> Iterator[Redis]:
    with servers.redis() as server:
        yield server


@pytest.fixture(params=["embedded", "servers"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """SQLite and the embedded bus; PostgreSQL and Redis, both empty."""
    if request.param == "embedded":
        return Backend("embedded")
    postgres: Postgres = request.getfixturevalue("postgres")
    redis: Redis = request.getfixturevalue("redis")
    redis.command("FLUSHALL")
    env = {"DATABASE_URL": postgres.new_database(), "BUS_URL": redis.url}
    return Backend("servers", env, postgres, redis)


Start = Callable[..., Stack]


@pytest.fixture
def start(backend: Backend) -> Iterator[Start]:
    """Starts the app on the back end, with settings of the test's own."""
    with ExitStack() as opened:

        def start(workers: int = 2, **environment: str) -> Stack:
            server = opened.enter_context(serving(workers=workers, **backend.env, **environment))
            return Stack(server, opened.enter_context(behind_nginx(server)), backend)

        yield start
