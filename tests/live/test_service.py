"""Two instances in one folder, as while a new container takes over from an old one."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.harness.load import Load
from tests.harness.processes import running, until
from tests.harness.stack import Server, behind_nginx, serving


class Other(Server):
    """A second instance beside a running one."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, INSTANCE="other")
        self.log_path = folder / "other.log"

    @property
    def ready(self) -> bool:
        return (self.folder / "other.json").exists()


@contextmanager
def two_instances() -> Iterator[tuple[Server, Server]]:
    """Run one instance in service and a newer one."""
    with serving() as old, running(Other(old.folder)) as new:
        yield old, new


def in_service(server: Server) -> set[str]:
    """Return the instances that nginx's links lead to."""
    return {link.readlink().name.split("-")[0] for link in server.folder.glob("slot-*.sock")}


async def test_new_instance_takes_over_when_it_is_told() -> None:
    """A ready instance waits; when told to, it takes over, the old one stops, and nothing is lost."""
    with two_instances() as (old, new), behind_nginx(old) as proxy:
        async with Load(proxy.address, kept=8, fresh=8, rate=200) as load:
            await load.until(200)
            assert in_service(old) == {"app"}
            assert (await new.ctl("publish"))[0] == 0
            assert in_service(old) == {"other"}
            old.signal(signal.SIGTERM)
            assert await old.exit_code(10) == 0
            await load.until(load.report.total + 200)

        assert not load.report.lost
        assert in_service(old) == {"other"}


async def test_new_instance_that_ends_is_not_noticed() -> None:
    """An instance that is killed before it takes over was never in service, and nothing is lost."""
    with two_instances() as (old, new), behind_nginx(old) as proxy:
        async with Load(proxy.address, kept=8, fresh=8, rate=200) as load:
            new.stop(signal.SIGKILL)
            await load.until(200)

        assert not load.report.lost
        assert in_service(old) == {"app"}


async def test_other_instance_steps_in() -> None:
    """When the instance in service stops or dies, a waiting one takes over by itself."""
    with two_instances() as (old, new):
        old.signal(signal.SIGTERM)
        assert await old.exit_code(10) == 0
        await until(lambda: in_service(old) == {"other"}, 5)

        old.start()
        old.until_ready()
        assert in_service(old) == {"other"}
        new.stop(signal.SIGKILL)
        await until(lambda: in_service(old) == {"app"}, 5)
