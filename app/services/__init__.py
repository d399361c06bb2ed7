"""The services of one worker, opened after the fork and handed to the handlers through `scope["state"]`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from app.config import Settings

from .bus import Bus, Keep
from .database import async_engine
from .embedded_bus import EmbeddedBus
from .errors import Unavailable
from .monitor import Counter, Monitor
from .redis_bus import RedisBus
from .users import Users, ping

CHECK_SECONDS = 1.0  # a dependency that does not answer within this is away


@dataclass(frozen=True, slots=True)
class Services:
    """What handlers may call."""

    users: Users
    bus: Bus
    monitor: Monitor
    draining: asyncio.Event

    async def check(self) -> dict[str, bool]:
        """Whether each dependency answers, by name."""
        return {"database": await _answers(lambda: self.users.read(ping)), "bus": self.bus.available}


@asynccontextmanager
async def open_services(settings: Settings, counter: Counter, draining: asyncio.Event) -> AsyncIterator[Services]:
    """Open what the settings name. A database or bus that is away makes the worker not ready; it is no failure."""
    users = Users(async_engine(settings.database_url, settings.database_pool))
    bus = open_bus(settings)
    monitor = Monitor(bus, counter, settings.worker_slot)
    await bus.start()
    beating = asyncio.create_task(monitor.run())
    try:
        yield Services(users, bus, monitor, draining)
    finally:
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating
        await bus.stop()
        await users.close()


def open_bus(settings: Settings) -> Bus:
    """The bus that the settings name, not started yet."""
    keep = Keep(settings.keep_messages, settings.keep_seconds)
    if settings.bus_url == "embedded":
        return EmbeddedBus(settings.data_dir, keep)
    return RedisBus(settings.bus_url, keep)


async def _answers(call: Callable[[], Awaitable[object]]) -> bool:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await call()
    except (Unavailable, TimeoutError):
        return False
    return True
