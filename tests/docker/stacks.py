"""The stack in containers, as the tests of shared state use it."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from slipway.ops import wait
from tests.app.shared_state.stacks import Stack
from tests.docker.conftest import Containers
from tests.harness.stores import LockedFile, Store

ANSWER_SECONDS = 30.0
PING = "REDISCLI_AUTH=$(cat /run/secrets/redis-password) redis-cli -e ping"


class Container:
    """A service of the compose file; the command `ping` succeeds in it once it answers."""

    def __init__(self, containers: Containers, name: str, ping: Sequence[str]) -> None:
        self._compose = containers.compose
        self._answers = lambda: containers.succeeds("exec", "-T", name, *ping)
        self._name = name

    def pause(self) -> None:
        self._compose("pause", self._name)

    def resume(self) -> None:
        self._compose("unpause", self._name)

    def kill(self) -> None:
        """Kill it and wait for its end; a container that was killed by hand is not restarted."""
        self._compose("kill", self._name)
        assert wait.until(lambda: not self._compose("ps", "--quiet", self._name).strip(), ANSWER_SECONDS)

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._compose("start", self._name)
        assert wait.until(self._answers, ANSWER_SECONDS)


class ComposedStack(Stack):
    """The running containers, through nginx's published port."""

    def __init__(self, containers: Containers, *, embedded: bool) -> None:
        self._containers = containers
        self.address = ("127.0.0.1", containers.port)
        self.bus: Store
        if embedded:
            self.bus = LockedFile("/data/bus.db", "docker", "exec", "-i", containers.container(), "python")
        else:
            ready = ("pg_isready", "-q", "-h", "127.0.0.1", "-U", "slipway")
            self.bus = self.redis = Container(containers, "redis", ("sh", "-c", PING))
            self.postgres = Container(containers, "db", ready)

    async def kill_worker(self) -> None:
        before = set(await self._serving())
        pid = int(await self._ctl("kill"))
        async with asyncio.timeout(ANSWER_SECONDS):
            while pid in (serving := await self._serving()) or len(serving) < len(before):
                pass

    async def reload(self) -> None:
        done = await asyncio.to_thread(self._containers.make, "reload")
        assert done.returncode == 0, done.stderr

    async def reload_nginx(self) -> None:
        await asyncio.to_thread(self._containers.compose, "kill", "--signal", "SIGHUP", "nginx")

    async def _serving(self) -> list[int]:
        serving: list[int] = json.loads(await self._ctl("status"))["serving"]
        return serving

    async def _ctl(self, verb: str) -> str:
        command = ("exec", "-T", "app", "python", "-m", "slipway.serving.ctl", verb)
        return await asyncio.to_thread(self._containers.compose, *command)


class ContainerDisk:
    """A file system in memory that belongs to one container."""

    def __init__(self, containers: Containers, service: str, folder: str) -> None:
        self._exec = partial(containers.compose, "exec", "-T", service)
        self._path = f"{folder}/full"

    def fill(self) -> None:
        self._exec("sh", "-c", f"! dd if=/dev/zero of={self._path} bs=4k 2>/dev/null")  # no space left on device

    def free(self) -> None:
        self._exec("rm", self._path)


@contextmanager
def users_in_memory(containers: Containers) -> Iterator[ContainerDisk]:
    """Keep the table of users on the database's /dev/shm, which has 128 MiB, and yield that disk."""
    run = partial(containers.compose, "exec", "-T", "--user", "postgres", "db")
    run("mkdir", "/dev/shm/small")
    containers.sql("CREATE TABLESPACE small LOCATION '/dev/shm/small'")
    containers.sql("ALTER TABLE users SET TABLESPACE small")
    yield ContainerDisk(containers, "db", "/dev/shm")
    containers.sql("ALTER TABLE users SET TABLESPACE pg_default")
    containers.sql("DROP TABLESPACE small")
    run("rmdir", "/dev/shm/small")
