"""One listener per worker: load is even, slots outlive their workers, and no slot stays without a worker."""

import asyncio
import json
import os
import signal

import pytest

from tests.harness.client import request
from tests.harness.load import GET, Load
from tests.harness.processes import until
from tests.harness.stack import Nginx, Server, behind_nginx, serving
from tests.live.barriers import until_blocked
from tests.promises.scenarios import kills, open_chats, unevenness

EVEN = 1.05  # the most loaded worker relative to the mean


@pytest.mark.alone
async def test_fast_requests_do_not_wait_for_a_slow_one(server: Server, proxy: Nginx) -> None:
    """While a worker computes, all other requests go to free ones, and are answered before it has finished."""
    slow = asyncio.create_task(request(proxy.address, "GET", "/cpu?ms=2000"))
    await until_blocked(server)
    report = await Load(proxy.address, [GET], kept=1, fresh=1, total=200).run()
    finished = slow.done()

    print(f"slowest of {report.total}: {report.percentile(100) * 1_000:.0f} ms")
    assert (await slow).status == 200
    assert not finished
    assert not report.lost


async def test_reloaded_workers_take_their_slots_over(server: Server) -> None:
    """After a reload each slot is served by a new worker of its own."""
    before = {await _who(server, slot) for slot in range(4)}
    assert (await server.reload())[0] == 0
    after = {await _who(server, slot) for slot in range(4)}

    assert {slot for slot, _ in after} == {0, 1, 2, 3}
    assert not {pid for _, pid in before} & {pid for _, pid in after}


async def test_respawned_worker_takes_its_slot_over(server: Server) -> None:
    """The successor of a killed worker gets its slot, and clients waiting there are served."""
    slot, pid = await _who(server, 2)
    os.kill(pid, signal.SIGKILL)
    answer = await request(server.address(2), "GET", "/plaintext")
    await until(lambda: pid not in server.pids() and len(server.status()["serving"]) == 4, 10)

    assert slot == 2
    assert answer.status == 200
    assert await _comes_to_own(server, 2) != pid


async def test_more_and_fewer_workers(server: Server, proxy: Nginx) -> None:
    """SIGTTOU and SIGTTIN under load lose nothing, and the slots of workers that left are served by the others."""
    async with Load(proxy.address, kept=8, fresh=8, rate=300) as load:
        for count, number in [(3, signal.SIGTTOU), (2, signal.SIGTTOU), (3, signal.SIGTTIN), (4, signal.SIGTTIN)]:
            server.signal(number)
            await until(lambda: len(server.pids()) == count == len(server.status()["serving"]), 15)  # noqa: B023
            assert {(await _who(server, slot))[1] for slot in range(4)} <= set(server.status()["serving"])
        server.signal(signal.SIGTTIN)
        await until(lambda: len(server.status()["serving"]) == 5, 15)
        server.signal(signal.SIGTTOU)
        await until(lambda: len(server.pids()) == 4, 15)

    assert not load.report.lost
    for slot in range(4):
        await _comes_to_own(server, slot)


async def _who(server: Server, slot: int) -> tuple[int, int]:
    """Return the slot and pid of the worker that answers at an address."""
    worker = json.loads((await request(server.address(slot), "GET", "/readyz")).body)["worker"]
    return worker["slot"], worker["pid"]


async def _comes_to_own(server: Server, slot: int) -> int:
    """Wait until the borrower of the slot has given it back; return the pid of the slot's own worker."""
    async with asyncio.timeout(5):
        while (found := await _who(server, slot))[0] != slot:  # noqa: ASYNC110 (there is no event for it)
            await asyncio.sleep(0.05)
    return found[1]


async def test_more_and_fewer_workers_with_the_shared_address() -> None:
    """SIGTTIN and SIGTTOU also work with the address that all workers share, and lose nothing."""
    with serving(slots="shared") as server:
        async with Load(server.address(), kept=4, fresh=4, rate=200) as load:
            for count, number in [(3, signal.SIGTTIN), (2, signal.SIGTTOU), (1, signal.SIGTTOU)]:
                server.signal(number)
                await until(lambda: len(server.pids()) == count == len(server.status()["serving"]), 15)  # noqa: B023

        assert not load.report.lost


async def test_slots_of_ports_behind_nginx() -> None:
    """Over TCP, too, a burst is even, and neither fewer nor more workers nor killed ones lose a GET."""
    with serving(slots="tcp") as server, behind_nginx(server) as proxy:
        sockets, by_slot = await open_chats(proxy.address, 100)
        await asyncio.gather(*(socket.close() for socket in sockets))
        async with Load(proxy.address, kept=8, fresh=8, rate=200) as load:
            for count, number in [(1, signal.SIGTTOU), (2, signal.SIGTTIN), (3, signal.SIGTTIN), (2, signal.SIGTTOU)]:
                server.signal(number)
                await until(lambda: len(server.pids()) == count == len(server.status()["serving"]), 15)  # noqa: B023
        report, _ = await kills(server, proxy.address, 5, rate=200)

    print(f"websockets by slot: {dict(by_slot)}, lost by 5 kills: {dict(report.lost)}")
    assert unevenness(by_slot, 2) <= EVEN
    assert not load.report.lost
    assert {method for method, _ in report.lost} <= {"POST"}


async def test_threads_keep_their_slots() -> None:
    """gunicorn's thread workers run under the same arbiter; they can't borrow a slot, so SIGTTOU is ignored."""
    with serving("app.wsgi:application", literal=("gunicorn", "-k", "gthread", "--threads", "4")) as server:
        server.signal(signal.SIGTTOU)
        await until(lambda: server.logged("SIGTTOU is ignored"), 5)
        os.kill(server.status()["serving"][1], signal.SIGKILL)

        for slot in range(2):
            assert (await request(server.address(slot), "GET", "/plaintext")).body == b"Hello, World!"
        assert (await server.reload())[0] == 0
        assert (await request(server.address(1), "GET", "/plaintext")).status == 200
