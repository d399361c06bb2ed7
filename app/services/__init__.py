"""The services of one worker, opened after the fork and handed to the handlers through `scope["state"]`."""

import asyncio
import importlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum

from app.config import AppSettings

from .bus import Bus, Retention
from .embedded_bus import EmbeddedBus
from .errors import Unavailable
from .monitor import Counter, Monitor
from .users import Users, open_users, ping

log = logging.getLogger("app.services")

CHECK_SECONDS = 1.0  # a dependency that does not answer within this time counts as away
CLOSE_SECONDS = 1.5  # for each part; all must close within the worker's shutdown time


class Health(StrEnum):
    """The state of a dependency, best first, in the terms of health+json."""

    PASS = "pass"
    WARN = "warn"
    """It answers but is full: it takes no more data."""
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Services:
    """The services that handlers use."""

    users: Users
    bus: Bus
    monitor: Monitor
    draining: asyncio.Event
    messages_per_second: int  # that one chat client may send

    async def check(self) -> dict[str, Health]:
        """Return the state of each dependency by name."""
        database = Health.PASS if await _answers(lambda: self.users.read(ping)) else Health.FAIL
        return {"database": database, "bus": self._check_bus()}

    def _check_bus(self) -> Health:
        if self.bus.available:
            return Health.PASS
        return Health.WARN if self.bus.full else Health.FAIL


def import_needed(settings: AppSettings) -> None:
    """Import modules that only these settings need; called at the app's import, so that they load before the fork."""
    if settings.bus_url != "embedded":
        importlib.import_module(f"{__name__}.redis_bus")
    if settings.database_url.get_backend_name() != "sqlite":
        importlib.import_module(f"{__name__}.postgresql.async_users")


@asynccontextmanager
async def open_services(settings: AppSettings, counter: Counter, draining: asyncio.Event) -> AsyncIterator[Services]:
    """Open the services of the settings. A database or bus that is away makes the worker not ready, but does not raise.

    At the end the parts are closed in reverse order, each one even if others fail.
    """
    async with AsyncExitStack() as opened:
        users = open_users(settings.database_url, settings.database_pool)
        opened.push_async_callback(_close, "the database", users.close)
        bus = open_bus(settings)
        opened.push_async_callback(_close, "the bus", bus.stop)
        await bus.start()
        monitor = Monitor(bus, counter, settings.worker_slot)
        opened.push_async_callback(_cancel, asyncio.create_task(monitor.run()))
        yield Services(users, bus, monitor, draining, settings.messages_per_second)


async def _cancel(task: asyncio.Task[None]) -> None:
    async def cancelled() -> None:
        task.cancel()
        await asyncio.wait({task})

    await _close("the monitor", cancelled)


async def _close(name: str, close: Callable[[], Awaitable[None]]) -> None:
    """Close a part; if it fails or takes longer than CLOSE_SECONDS, log that and go on."""

    async def closed() -> None:
        await close()

    closing = asyncio.create_task(closed())
    done, _ = await asyncio.wait({closing}, timeout=CLOSE_SECONDS)
    if not done:
        closing.cancel()
        log.error("%s was not closed within %g s", name, CLOSE_SECONDS)
    elif not closing.cancelled() and (error := closing.exception()) is not None:
        log.error("%s was not closed", name, exc_info=error)


def open_bus(settings: AppSettings) -> Bus:
    """Return the bus of the settings, not started yet."""
    keep = Retention(settings.keep_messages, settings.keep_seconds, settings.keep_bytes)
    if settings.bus_url == "embedded":
        return EmbeddedBus(settings.data_dir, keep)
    from .redis_bus import RedisBus  # late: the embedded bus needs no redis-py in memory

    return RedisBus(settings.bus_url, keep, settings.bus_password)


async def _answers(call: Callable[[], Awaitable[object]]) -> bool:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await call()
    except (Unavailable, TimeoutError):
        return False
    return True
