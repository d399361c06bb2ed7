"""What connections cost and may do, as promises: idle websockets, clients that never read, clients that vanish."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.harness.chat import Client
from tests.harness.load import GET, Load
from tests.harness.processes import short_folder, until
from tests.harness.stack import behind_nginx, serving
from tests.promises.connections import Disturbance, beside_deaf, bytes_per_idle_socket, idle_sockets, seconds_until_back
from tests.promises.promise import Row, lost

KIB, MIB = 1 << 10, 1 << 20
BYTES_EACH = 22 * KIB
BACK_SECONDS = 30.0
DEAF, SLOWER, GROWN = 100, 1.1, 50 * MIB
QUICK_PINGS = """
from slipway.serving.worker import Worker
Worker.CONFIG_KWARGS |= {{"ws_ping_interval": {0}, "ws_ping_timeout": {0}}}
exec(open("gunicorn.conf.py").read())
"""


@dataclass(frozen=True, slots=True)
class Idle:
    """Idle websockets, each a file here and in a worker, for some seconds; `weighed` are measured in one worker."""

    count: int
    seconds: float
    weighed: int
    through_nginx: bool = False
    """Whether they return through nginx, which takes two more files for each."""


async def idle(size: Idle) -> AsyncIterator[Row]:
    """Hold idle websockets, which cost little, stay, and are back soon after a reload."""
    with serving(workers=1) as server:
        each = await bytes_per_idle_socket(server, size.weighed)
        yield Row(
            f"an idle websocket costs a worker {BYTES_EACH // KIB} KiB", f"{each / KIB:.1f} KiB", each <= BYTES_EACH
        )
    with serving(workers=2) as server, behind_nginx(server) as nginx:
        async with idle_sockets([server.address(0), server.address(1)], size.count) as sockets:
            await asyncio.sleep(size.seconds)  # idleness is under test
            left = sum(socket.open for socket in sockets)
        yield Row(f"idle websockets stay for {size.seconds:g} s", f"{left:,} of {size.count:,}", left == size.count)
        await until(lambda: not any(socket.open for socket in sockets), 60)
        addresses = [nginx.address] if size.through_nginx else [server.address(0), server.address(1)]
        clients = [Client(addresses[number % len(addresses)], f"c{number}") for number in range(size.count)]
        running = [asyncio.create_task(client.run()) for client in clients]
        await until(lambda: all(client.worker for client in clients), 120)
        old = set(server.pids())
        async with Load(nginx.address, [GET], kept=4) as load:
            assert (await server.reload())[0] == 0
            seconds = await seconds_until_back(clients, old)
        for client in clients:
            client.close()
        await asyncio.gather(*running)
        what = f"{size.count:,} are back within {BACK_SECONDS:g} s of a reload"
        yield Row(what, f"{seconds:.1f} s", seconds < BACK_SECONDS)
        yield Row("no plain request is lost meanwhile", lost(load.report), not load.report.lost)


@dataclass(frozen=True, slots=True)
class Deaf:
    """The number of messages sent beside clients that never read: directly at the workers, and through nginx, too.

    Delays are compared over `timed_rounds` rounds of both, one after the other; with none, they are not judged.
    """

    messages: int
    through_nginx: bool = True
    timed_rounds: int = 0


async def deaf(size: Deaf) -> AsyncIterator[Row]:
    """Hold clients that never read, which disturb no other client, and are cut off."""
    with serving(workers=2) as server, behind_nginx(server) as nginx:
        ways = {"workers": [server.address(0), server.address(1)], "nginx": [nginx.address]}
        for name, addresses in ways.items():
            if name == "nginx" and not size.through_nginx:
                continue
            rounds = [
                await beside_deaf(server, addresses, DEAF, size.messages) for _ in range(max(size.timed_rounds, 1))
            ]
            if size.timed_rounds:
                yield _slow_no_other(name, rounds)
            missed, grown = sum(seen.lost for seen in rounds), max(seen.grown for seen in rounds)
            closed = min(seen.closed for seen in rounds)
            yield Row(f"{name}: others miss nothing", f"{missed} lost or doubled", missed == 0)
            yield Row(f"{name}: 50 MiB at most for them", f"{grown / MIB:.0f} MiB", grown < GROWN)
            yield Row(f"{name}: they are cut off", f"{closed} of {DEAF}", closed == DEAF)


def _slow_no_other(name: str, rounds: Sequence[Disturbance]) -> Row:
    """Judge the middle round; the differences between the readers' own rounds are the noise."""
    ratios = sorted(seen.beside_deaf / seen.beside_readers for seen in rounds)
    readers = [seen.beside_readers for seen in rounds]
    middle, noise = ratios[len(ratios) // 2], max(readers) / min(readers)
    seen = f"p99 x {middle:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}, noise {noise:.2f})"
    return Row(f"{name}: {DEAF} that never read slow no other by 10 %", seen, middle < SLOWER)


@dataclass(frozen=True, slots=True)
class HalfOpen:
    """The seconds within which vanished clients are gone, and the time between pings if it is not the default."""

    seconds: float
    ping_seconds: float | None = None


async def half_open(size: HalfOpen) -> AsyncIterator[Row]:
    """Let clients vanish without a word: they neither answer pings nor close."""
    with short_folder() as folder, serving(workers=1, arguments=_pings(folder, size.ping_seconds)) as server:
        async with idle_sockets([server.address()], 10) as sockets:
            start = time.monotonic()
            for socket in sockets[:5]:
                socket.answers = False
            await until(lambda: not any(socket.open for socket in sockets[:5]), size.seconds + 15)
            seconds = time.monotonic() - start
            left = sum(socket.open for socket in sockets[5:])
        yield Row(f"half-open clients are gone within {size.seconds:g} s", f"{seconds:.0f} s", seconds < size.seconds)
        yield Row("those that answer stay", f"{left} of 5", left == 5)


def _pings(folder: Path, seconds: float | None) -> list[str]:
    """Return the arguments for a server that pings every `seconds`."""
    if seconds is None:
        return []
    path = folder / "quick.py"
    path.write_text(QUICK_PINGS.format(seconds))
    return ["--config", str(path)]
