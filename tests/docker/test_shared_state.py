"""State shared by workers and machines, in containers: tests/app/shared_state again, through the published port."""

from collections.abc import Iterator

import pytest

from slipway.ops import wait
from tests.app.shared_state.stacks import Cramped
from tests.app.shared_state.test_chat import (
    test_event_stream_is_told,
    test_nothing_is_lost,
    test_nothing_is_lost_when_redis_is_killed,
    test_nothing_is_lost_while_the_bus_takes_nothing,
    test_two_machines,
)
from tests.app.shared_state.test_users import (
    test_concurrent_writers_all_succeed,
    test_full_disk,
    test_one_name_is_given_once,
    test_restarted_database,
)
from tests.docker.conftest import Containers
from tests.docker.stacks import ComposedStack, ContainerDisk, users_in_memory
from tests.harness.client import Address
from tests.harness.processes import free_ports

__all__ = [
    "test_concurrent_writers_all_succeed",
    "test_event_stream_is_told",
    "test_full_disk",
    "test_nothing_is_lost",
    "test_nothing_is_lost_when_redis_is_killed",
    "test_nothing_is_lost_while_the_bus_takes_nothing",
    "test_one_name_is_given_once",
    "test_restarted_database",
    "test_two_machines",
]

pytestmark = pytest.mark.timeout(300)

# On a disk that a test can fill; READY_PATH, because before MIGRATE the database has no table and the app is not ready.
EMBEDDED = {"DATABASE_URL": "sqlite:////tmp/slipway.db", "BUS_URL": "embedded", "READY_PATH": "/livez"}
MIGRATE = ("exec", "-T", "app", "python", "-m", "app.migrate")  # PRESTART's container has another /tmp


@pytest.fixture(scope="module", params=["servers", "embedded"])
def backend(request: pytest.FixtureRequest, containers: Containers) -> Iterator[str]:
    """PostgreSQL and Redis in their containers; SQLite and the embedded bus in the app's."""
    name: str = request.param
    if name == "servers":
        yield name
    else:
        containers.up(**EMBEDDED)
        containers.compose(*MIGRATE)
        yield name
        containers.up()


@pytest.fixture
def stack(backend: str, containers: Containers) -> ComposedStack:
    return ComposedStack(containers, embedded=backend == "embedded")


@pytest.fixture
def machines(backend: str, containers: Containers) -> Iterator[list[Address]]:
    """The stack and, as on a second machine, an app server reached by TCP, without the first one's nginx."""
    port = free_ports()
    slots = {"SOCKET_DIR": "", "RUN_DIR": "/tmp", "SLOT_HOST": "0.0.0.0", "SLOT_PORT": "9000", "WEB_CONCURRENCY": "1"}
    variables = [word for name, value in slots.items() for word in ("--env", f"{name}={value}")]
    publish = ("--publish", f"127.0.0.1:{port}:9000")
    other = containers.compose("run", "--detach", "--no-deps", *publish, *variables, "app").strip()
    try:
        assert wait.until(lambda: wait.get(f"http://127.0.0.1:{port}/readyz")[0] == 200, 30)
        yield [("127.0.0.1", containers.port), ("127.0.0.1", port)]
    finally:
        containers.docker("rm", "--force", other)


@pytest.fixture
def cramped(backend: str, containers: Containers, stack: ComposedStack) -> Iterator[Cramped]:
    """The stack with its users on a disk that can be filled."""
    if backend == "embedded":
        yield Cramped(stack, ContainerDisk(containers, "app", "/tmp"))
    else:
        with users_in_memory(containers) as disk:
            yield Cramped(stack, disk)


def test_only_what_is_asked_for_runs(backend: str, containers: Containers) -> None:
    """PostgreSQL and Redis run where the settings name them, and only there."""
    asked_for = {"db", "redis"} if backend == "servers" else set()
    services = containers.compose("ps", "--all", "--services").split()

    assert {*services} == {"app", "nginx"} | asked_for


def test_migrate(containers: Containers) -> None:
    """`make migrate` creates the tables in the database that the settings name, and can be repeated."""
    containers.sql("CREATE DATABASE fresh")
    address = f"postgresql://slipway:{containers.env['POSTGRES_PASSWORD']}@db/fresh"
    for _ in range(2):
        done = containers.make("migrate", DATABASE_URL=address)
        assert done.returncode == 0, done.stdout + done.stderr

    assert containers.sql("SELECT count(*) FROM users", "fresh") == "0"
    containers.sql("DROP DATABASE fresh")
