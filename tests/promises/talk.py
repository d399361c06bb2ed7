"""Chat through faults: every client sees every message once and in order, or is told by a reset that it does not."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from tests.harness.chat import Client, Seen
from tests.harness.client import Address
from tests.harness.processes import is_alive, until
from tests.harness.stack import Nginx, Server
from tests.harness.stores import Service, Store

CATCH_UP_SECONDS = 60.0  # for the last messages to reach every client


@dataclass
class Result:
    """Everything that all clients have seen."""

    seen: list[Seen] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)  # as the first client saw them
    seconds: float = 0.0
    slowest: float = 0.0  # the longest time from sending a message to receiving it, in seconds

    @property
    def lost(self) -> int:
        return sum(seen.lost for seen in self.seen)

    @property
    def doubled(self) -> int:
        return sum(seen.doubled for seen in self.seen)

    @property
    def resets(self) -> int:
        return sum(seen.resets for seen in self.seen)

    @property
    def slowest_refusal(self) -> float:
        """The longest time from sending a message to its refusal, in seconds."""
        return max(seen.slowest_refusal for seen in self.seen)

    @property
    def orders(self) -> int:
        """The number of different orders in which the messages were seen."""
        return len({seen.order for seen in self.seen})

    @property
    def said_twice(self) -> int:
        """The number of messages that are in the log again because a client sent them again without need."""
        return len(self.texts) - len(set(self.texts))


Fault = Callable[[], Awaitable[None]]


async def talk(
    addresses: Sequence[Address], clients: int, messages: int, faults: Sequence[Fault], seconds: float
) -> Result:
    """Have `clients` send `messages` numbered messages together, with the faults spread over the time that takes.

    Messages that are in the log already do not count.
    """
    each = messages // clients
    start_id = await _say_one(addresses[0])
    people = [
        Client(
            addresses[number % len(addresses)],
            f"c{number}",
            [f"{number}.{said}" for said in range(each)],
            keep_texts=number == 0,
        )
        for number in range(clients)
    ]
    for person in people:
        person.after = start_id
    total = each * clients
    start = time.monotonic()
    running = [asyncio.create_task(person.run()) for person in people]
    try:
        async with asyncio.timeout(seconds):
            for number, fault in enumerate(faults, 1):
                await until(lambda due=number: _said(people) >= total * due // (len(faults) + 1), seconds)  # type: ignore[misc]
                await fault()
            await until(lambda: all(person.done for person in people), seconds)
            newest = max((person.after or "" for person in people), key=lambda after: int(after.partition("-")[2]))
            await until(lambda: all(person.after == newest for person in people), CATCH_UP_SECONDS)
    finally:
        for person in people:
            person.close()
        await asyncio.gather(*running)
    return Result(
        [person.seen for person in people],
        people[0].seen.texts,
        time.monotonic() - start,
        max(max(person.delays, default=0.0) for person in people),
    )


async def _say_one(address: Address) -> str:
    """Send a message and return its id."""
    person = Client(address, "first", ["begin"])
    person.after = None
    running = asyncio.create_task(person.run())
    await until(lambda: person.done, CATCH_UP_SECONDS)
    person.close()
    await running
    return person.after or ""


def _said(people: Sequence[Client]) -> int:
    return sum(len(person.delays) for person in people)


def worker_killed(server: Server, slot: int = 0) -> Fault:
    """Return a fault that kills the oldest worker and waits for its successor."""

    async def fault() -> None:
        pid = server.pids()[slot]
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not is_alive(pid) and len(server.pids()) == server.workers, 20)

    return fault


def reloaded(server: Server) -> Fault:
    async def fault() -> None:
        code, output = await server.reload()
        assert code == 0, output

    return fault


def nginx_reloaded(nginx: Nginx) -> Fault:
    async def fault() -> None:
        nginx.signal(signal.SIGHUP)

    return fault


def restarted(service: Service) -> Fault:
    """Return a fault that kills a service and starts it again at once."""

    async def fault() -> None:
        await asyncio.to_thread(service.kill)
        await asyncio.to_thread(service.start)

    return fault


def paused(store: Store, seconds: float) -> Fault:
    """Return a fault that pauses a store for some seconds."""

    async def fault() -> None:
        await asyncio.to_thread(store.pause)
        try:
            await asyncio.sleep(seconds)
        finally:
            await asyncio.to_thread(store.resume)

    return fault
