"""What connections cost and may do: idle ones, ones that never read, and all of them returning after a reload."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from resource import getpagesize

from slipway.ops.percentile import percentile
from tests.harness.chat import Client
from tests.harness.client import Address
from tests.harness.processes import until
from tests.harness.stack import Server
from tests.harness.websocket import PING, PONG, Frames

AT_ONCE = 50  # handshakes under way
LONG = "x" * 1_900


class Idle:
    """A websocket that answers pings and does nothing else."""

    def __init__(self) -> None:
        self.open = self.answers = True
        self.frames: Frames | None = None

    @classmethod
    async def connect(cls, address: Address, target: str = "/ws/chat", *headers: str) -> "Idle":
        """Connect. Raises ConnectionError when the answer is not 101."""
        idle = cls()
        idle.frames = await Frames.open(address, target, idle._take, idle._lost, *headers)
        return idle

    def stop_reading(self) -> None:
        assert self.frames is not None
        self.frames.transport.pause_reading()

    def read_again(self) -> None:
        assert self.frames is not None
        if not self.frames.transport.is_closing():
            self.frames.transport.resume_reading()

    def close(self) -> None:
        if self.frames is not None:
            self.frames.transport.close()

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == PING and self.answers and self.frames is not None:
            self.frames.send(payload, PONG)

    def _lost(self) -> None:
        self.open = False


@asynccontextmanager
async def idle_sockets(addresses: Sequence[Address], count: int) -> AsyncIterator[list[Idle]]:
    """Open `count` idle websockets, spread over the addresses."""
    sockets: list[Idle] = []
    try:
        for first in range(0, count, AT_ONCE):
            numbers = range(first, min(first + AT_ONCE, count))
            sockets += await asyncio.gather(*(Idle.connect(addresses[number % len(addresses)]) for number in numbers))
        yield sockets
    finally:
        for opened in sockets:
            opened.close()


def resident(pid: int) -> int:
    """Return the resident memory in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * getpagesize()


async def bytes_per_idle_socket(server: Server, count: int) -> float:
    """Return what each of `count` idle websockets adds to a worker that holds 200 already, as a warm-up."""
    (pid,) = server.pids()
    async with idle_sockets([server.address()], 200):
        before = resident(pid)
        async with idle_sockets([server.address()], count):
            await asyncio.sleep(2.5)  # includes a beat of the worker with all of them
            return (resident(pid) - before) / count


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What ten talking clients saw: the 99th percentile of the time from sending to receiving, and the cost."""

    beside_readers: float
    beside_deaf: float
    grown: int  # the largest growth of all workers' memory together, in bytes
    closed: int
    lost: int


async def beside_deaf(server: Server, addresses: Sequence[Address], count: int, messages: int) -> Disturbance:
    """Have ten clients talk, beside `count` that read and then beside as many that never do."""
    async with idle_sockets(addresses, count):
        readers, lost = await _talk(addresses, messages)
    before, most = sum(map(resident, server.pids())), 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, sum(map(resident, server.pids())) - before)
            await asyncio.sleep(0.1)

    async with idle_sockets(addresses, count) as deaf:
        for client in deaf:
            client.stop_reading()
        watching = asyncio.create_task(watch())
        beside, lost_beside = await _talk(addresses, messages)
        closed = await _let_go(deaf)
        watching.cancel()
    return Disturbance(readers, beside, most, closed, lost + lost_beside)


async def _let_go(deaf: Sequence[Idle]) -> int:
    """Return how many clients the server has cut off; one that reads again finds the end behind its buffers."""
    for client in deaf:
        client.read_again()
    with suppress(TimeoutError):
        await until(lambda: not any(client.open for client in deaf), 15)
    return sum(not client.open for client in deaf)


async def _talk(addresses: Sequence[Address], messages: int) -> tuple[float, int]:
    words = [f"{said} {LONG}" for said in range(messages // 10)]
    people = [Client(addresses[number % len(addresses)], f"p{number}", words) for number in range(10)]
    for person in people:
        person.after = None  # earlier messages are of no interest
    running = [asyncio.create_task(person.run()) for person in people]
    await until(lambda: all(person.done for person in people), 120)
    for person in people:
        person.close()
    await asyncio.gather(*running)
    delays = (delay for person in people for delay in person.delays)
    return percentile(delays, 99), sum(person.seen.lost + person.seen.doubled for person in people)


async def seconds_until_back(clients: Sequence[Client], old: set[int]) -> float:
    """Return the seconds until all clients are at workers other than the old ones."""
    start = time.monotonic()
    await until(lambda: all(client.worker.get("pid") not in old for client in clients), 60)
    return time.monotonic() - start
