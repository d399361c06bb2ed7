"""What workers and machines share, at full size: chat through faults, and ten thousand idle websockets."""

import asyncio
import os
import time
from collections.abc import AsyncIterator

from tests.harness import servers
from tests.harness.chat import Client
from tests.harness.client import Address
from tests.harness.load import GET, Load
from tests.harness.processes import until
from tests.harness.stack import behind_nginx, serving
from tests.promises.promise import Row, lost
from tests.promises.state_chat import (
    Fault,
    Result,
    nginx_reloaded,
    paused,
    reloaded,
    restarted,
    talk,
    worker_killed,
)
from tests.promises.state_limits import beside_deaf, bytes_per_idle_socket, idle_sockets, seconds_until_back

CLIENTS = int(os.environ.get("SOAK_CLIENTS", "100"))
MESSAGES = int(os.environ.get("SOAK_MESSAGES", "100000"))
IDLE = int(os.environ.get("SOAK_IDLE", "10000"))  # a file each, here and in a worker
IDLE_SECONDS = float(os.environ.get("SOAK_IDLE_SECONDS", "600"))
TALK_SECONDS = 3_600.0
KEEP = {"KEEP_MESSAGES": "50000"}
KIB, MIB = 1 << 10, 1 << 20


async def chat_embedded() -> AsyncIterator[Row]:
    """The log in SQLite."""
    with serving(workers=2, **KEEP) as server, behind_nginx(server) as nginx:
        faults = [worker_killed(server), reloaded(server), nginx_reloaded(nginx)]
        yield await _chat("embedded: worker killed, reload, nginx reload", nginx.address, faults)


async def chat_redis() -> AsyncIterator[Row]:
    """The log in Redis."""
    with (
        servers.redis() as redis,
        serving(workers=2, BUS_URL=redis.url, **KEEP) as server,
        behind_nginx(server) as nginx,
    ):
        faults: list[Fault] = [
            worker_killed(server),
            reloaded(server),
            nginx_reloaded(nginx),
            restarted(redis),
            paused(redis, 30),
        ]
        yield await _chat("Redis: the same, and Redis killed, and stopped for 30 s", nginx.address, faults)


async def idle() -> AsyncIterator[Row]:
    """Idle websockets for ten minutes, then a reload."""
    with serving(workers=1) as server:
        each = await bytes_per_idle_socket(server, 2_000)
        yield Row("an idle websocket costs a worker 22 KiB", f"{each / KIB:.1f} KiB", each <= 22 * KIB)
    with serving(workers=2) as server, behind_nginx(server) as nginx:
        async with idle_sockets([server.address(0), server.address(1)], IDLE) as sockets:
            await asyncio.sleep(IDLE_SECONDS)
            left = sum(socket.open for socket in sockets)
        yield Row(f"idle websockets stay for {IDLE_SECONDS:g} s", f"{left:,} of {IDLE:,}", left == IDLE)
        await until(lambda: not any(socket.open for socket in sockets), 60)
        clients = [Client(server.address(number % 2), f"c{number}") for number in range(IDLE)]
        running = [asyncio.create_task(client.run()) for client in clients]
        await until(lambda: all(client.worker for client in clients), 120)
        old = set(server.pids())
        async with Load(nginx.address, [GET], kept=4) as load:
            assert (await server.reload())[0] == 0
            seconds = await seconds_until_back(clients, old)
        for client in clients:
            client.close()
        await asyncio.gather(*running)
        yield Row(f"{IDLE:,} are back within 30 s of a reload", f"{seconds:.1f} s", seconds < 30)
        yield Row("no plain request is lost meanwhile", lost(load.report), not load.report.lost)


async def deaf() -> AsyncIterator[Row]:
    """100 readers that never read, directly at the workers and through nginx."""
    with serving(workers=2) as server, behind_nginx(server) as nginx:
        for name, addresses in (("workers", [server.address(0), server.address(1)]), ("nginx", [nginx.address])):
            seen = await beside_deaf(server, addresses, 100, 10_000)
            ratio = seen.beside_deaf / seen.beside_readers
            yield Row(f"{name}: 100 that never read slow nobody by 10 %", f"p99 x {ratio:.2f}", ratio < 1.1)
            yield Row(f"{name}: 50 MiB at most for them", f"{seen.grown / MIB:.0f} MiB", seen.grown < 50 * MIB)
            yield Row(f"{name}: they are cut off", f"{seen.closed} of 100", seen.closed == 100)


async def half_open() -> AsyncIterator[Row]:
    """A client that vanishes without a word: it neither answers pings nor closes."""
    with serving(workers=1) as server:
        async with idle_sockets([server.address()], 10) as sockets:
            start = time.monotonic()
            for socket in sockets:
                socket.answers = False
            await until(lambda: not any(socket.open for socket in sockets), 60)
            seconds = time.monotonic() - start
        yield Row("half-open clients are gone within 45 s", f"{seconds:.0f} s", seconds < 45)


async def _chat(name: str, address: Address, faults: list[Fault]) -> Row:
    result = await talk([address], CLIENTS, MESSAGES, faults, TALK_SECONDS)
    kept = (result.lost, result.doubled) == (0, 0) and (result.resets > 0 or _whole(result))
    codes = sorted({code for client in result.seen for code in client.codes})
    seen = (
        f"{result.lost} lost, {result.doubled} doubled, {result.resets} resets, {result.said_twice} said twice "
        f"of {MESSAGES:,} messages to {CLIENTS} clients in {result.seconds:.0f} s; closed with {codes}"
    )
    return Row(name, seen, kept)


def _whole(result: Result) -> bool:
    return len(result.texts) == len(set(result.texts)) == MESSAGES // CLIENTS * CLIENTS


PARTS = {
    "chat-embedded": chat_embedded,
    "chat-redis": chat_redis,
    "idle": idle,
    "deaf": deaf,
    "half-open": half_open,
}
