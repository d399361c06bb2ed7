"""The real servers with the shared state of the workers, and the app on top of them: each test runs on both back ends.

Rules: traffic stays on 127.0.0.1 and unix sockets; every wait is bounded; only processes started here are ended.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from app.config import AppSettings
from app.migrate import migrate
from tests.app.shared_state.stacks import Backend, Cramped, LocalStack
from tests.harness import servers
from tests.harness.client import Address
from tests.harness.processes import short_folder
from tests.harness.servers import Postgres, Redis
from tests.harness.stack import behind_nginx, serving
from tests.harness.stores import SmallDisk


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
    """SQLite and the embedded bus, or PostgreSQL and Redis, both empty."""
    if request.param == "embedded":
        return Backend("embedded")
    postgres: Postgres = request.getfixturevalue("postgres")
    redis: Redis = request.getfixturevalue("redis")
    redis.command("FLUSHALL")
    env = {"DATABASE_URL": postgres.new_database(), "BUS_URL": redis.url}
    return Backend("servers", env, postgres, redis)


Start = Callable[..., LocalStack]


@pytest.fixture
def start(backend: Backend) -> Iterator[Start]:
    """Yield a function that starts the app on the back end, with the test's own settings."""
    env = {**backend.env}
    if backend.postgres is not None:  # in this process, in a fifth of the time that each start would take for it
        migrate(AppSettings.from_environment(env).database_url)
        env["PRESTART"] = "none"
    with ExitStack() as opened:

        def start(**environment: str) -> LocalStack:
            server = opened.enter_context(serving(workers=2, **{**env, **environment}))
            return LocalStack(server, opened.enter_context(behind_nginx(server)), backend)

        yield start


@pytest.fixture
def stack(start: Start) -> LocalStack:
    """The app with its default settings."""
    return start()


@pytest.fixture
def machines(start: Start) -> list[Address]:
    """Two machines that share only the servers with the state."""
    return [start().address, start().address]


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    """A disk that can be filled without harm to other programs."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk takes root")
    with short_folder() as folder:
        disk = SmallDisk(folder)
        disk.mount("160m")  # an empty PostgreSQL has 70
        yield disk
        disk.unmount()


@pytest.fixture
def cramped(backend: Backend, disk: SmallDisk) -> Iterator[Cramped]:
    """A stack whose data is on a small disk."""
    with ExitStack() as opened:
        env = {**backend.env, "DATA_DIR": str(disk.path)}
        if backend.postgres is not None:
            env["DATABASE_URL"] = opened.enter_context(servers.postgres(disk.path)).new_database()
        server = opened.enter_context(serving(workers=2, **env))
        nginx = opened.enter_context(behind_nginx(server))
        yield Cramped(LocalStack(server, nginx, backend), disk)
