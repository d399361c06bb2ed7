"""The master lives and the service continues, whatever happens to workers, clocks, files and the database."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.harness.at_once import coroutines_at_once
from tests.harness.client import Connection, EventStream, request
from tests.harness.load import GET, Load
from tests.harness.processes import is_alive, until
from tests.harness.stack import Nginx, Server, Slots, behind_nginx, serving
from tests.harness.websocket import WebSocket
from tests.live import sites
from tests.live.barriers import begin
from tests.live.sites import GET_OLD, Site, source
from tests.promises.scenarios import kill_one, kills

KILLS = 10
BACK_SECONDS = 10.0
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


async def test_all_workers_killed_at_once(server: Server, proxy: Nginx) -> None:
    """When all workers die at once, GETs wait in the slots' queues until successors answer them."""
    async with Load(proxy.address, [GET], kept=8, fresh=8, rate=300) as load:
        pids = server.status()["serving"]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        await until(lambda: not set(pids) & set(s := server.status()["serving"]) and len(s) == 4, BACK_SECONDS)
        await load.until(load.report.total + 50)

    assert not load.report.lost


async def test_only_worker_killed_under_load() -> None:
    """No GET is lost when the only worker is killed: nginx asks its slot again, and the successor answers."""
    with serving(workers=1) as server, behind_nginx(server) as proxy:
        report, _ = await kills(server, proxy.address, KILLS, rate=200, requests=[GET])

    print(f"{report.total} requests, {KILLS} kills, lost: {dict(report.lost)}")
    assert not report.lost


@pytest.mark.parametrize("slots", ["tcp", "shared"])
async def test_killed_worker_with_other_listeners(slots: Slots) -> None:
    """With TCP slots and with the shared address a killed worker is replaced, and all slots answer again."""
    with serving(workers=2, slots=slots) as server:
        await kill_one(server)

        for slot in range(2):
            assert (await request(server.address(slot), "GET", "/plaintext")).body == b"Hello, World!"


async def _failing_startup(site: Site, folder: Path) -> None:
    away = folder / "away"
    site.write(source(startup=f"import os; assert not os.path.exists({str(away)!r}), 'away'"))
    with serving(site.name, **site.options) as server:
        away.touch()
        starts = server.logged("Booting worker")
        killed, survivor = server.status()["serving"]
        os.kill(killed, signal.SIGKILL)
        async with Load(server.address(), [GET_OLD], kept=0, fresh=2, rate=50) as load:
            await until(lambda: server.logged("the next start is in 1.6 s"), 15)
        starts = server.logged("Booting worker") - starts

        assert starts in (4, 5)  # if the worker was young, the first pause comes after the kill itself
        assert not load.report.lost
        assert server.pids() == [survivor]
        away.unlink()
        await until(lambda: len(server.status()["serving"]) == 2, 15, "the worker that could not start")


async def _hanging_startup(site: Site, startup: str) -> None:
    with serving(site.name, **site.options) as server:
        site.write(source(startup=startup))
        os.kill(server.status()["serving"][0], signal.SIGKILL)
        await until(lambda: server.logged("Booting worker") == 3, 10)
        start = time.monotonic()
        await until(lambda: server.logged("WORKER TIMEOUT"), 12)
        seconds = time.monotonic() - start
        site.write(source())
        await until(lambda: len(server.status()["serving"]) == 2, 15, "a worker that starts")

        assert 4 < seconds < 9
        assert "not ready for 5" in server.log()
        assert server.logged("Fatal Python error: Aborted") == 1


async def _blocked_worker(site: Site) -> None:
    site.write(source(body="if scope['path'] == '/block': __import__('time').sleep(60)"))
    with serving(site.name, **site.options) as server:
        async with await Connection.open(server.address(0)) as blocked:
            blocked.send("GET", "/block")
            async with Load(server.address(1), [GET_OLD], kept=1, fresh=1, rate=50) as load:
                with pytest.raises((EOFError, OSError)):
                    await asyncio.wait_for(blocked.head(), 15)
                await until(lambda: server.logged("at these stacks"), 15)
                await until(lambda: len(server.status()["serving"]) == 2, 15)

        assert not load.report.lost
        assert "no sign of life" in server.log()
        (stacks,) = [record["stacks"] for record in server.records() if "stacks" in record]
        assert 'site_app.py", line 11 in application' in stacks
        assert (await request(server.address(0), "GET", "/")).body == b"old"


async def _step_of_the_clock(site: Site, folder: Path) -> None:
    clock = folder / "clock"
    clock.write_text("+0")
    fake = {
        "LD_PRELOAD": FAKETIME,
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }
    site.write(source(body="import time, os; scope['answer'] = print(int(time.time()), flush=True)"))
    with serving(site.name, **site.options, **fake) as server:
        before = server.pids()
        for step in ("-3600", "+3600"):
            clock.write_text(step)
            with suppress(TimeoutError):  # longer than a worker may be silent
                await until(lambda: server.logged("WORKER TIMEOUT"), 6)
            assert (await request(server.address(), "GET", "/")).status == 200

        assert server.pids() == before
        await until(lambda: len(_numbers(server)) == 2, 5)
        times = _numbers(server)
        assert times[-1] - times[-2] > 7_000  # the server's clock did make the step
        start = time.monotonic()
        server.signal(signal.SIGTERM)
        clock.write_text("-3600")
        assert await server.exit_code(6) == 0
        assert time.monotonic() - start < 6


def _numbers(server: Server) -> list[int]:
    return [int(text) for text in server.messages() if text.isdecimal()]


HANGS = {"hangs": sites.HANGS_IN_STARTUP, "blocks": sites.BLOCKS_IN_STARTUP}
Checks = dict[str, "Future[None]"]


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> Checks:
    """Faults that take a time-out to be noticed, each with a server of its own."""

    def site() -> Site:
        return Site(tmp_path_factory.mktemp("site"))

    folder = tmp_path_factory.mktemp("marks")
    cases: dict[str, Callable[[], Coroutine[object, object, None]]] = {
        **{name: partial(_hanging_startup, site(), startup) for name, startup in HANGS.items()},
        "blocked": partial(_blocked_worker, site()),
        "failing": partial(_failing_startup, site(), folder),
    }
    if Path(FAKETIME).exists():
        cases = {"clock": partial(_step_of_the_clock, site(), folder), **cases}
    return coroutines_at_once(cases)


@pytest.mark.timeout(120)
def test_failing_startup_backs_off(checks: Checks) -> None:
    """When an app's startup fails for a while, the other workers serve, attempts get rarer, and it heals."""
    checks["failing"].result()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", HANGS)
def test_hanging_startup_is_noticed(checks: Checks, name: str) -> None:
    """A worker that hangs or blocks in startup is ended after TIMEOUT, its stack is logged, and another is started."""
    checks[name].result()


@pytest.mark.timeout(120)
def test_blocked_worker_is_killed_and_its_stack_is_logged(checks: Checks) -> None:
    """A handler that blocks the loop costs only its own worker's clients; the log shows its line, and others serve."""
    checks["blocked"].result()


@pytest.mark.timeout(120)
@pytest.mark.skipif(not Path(FAKETIME).exists(), reason="needs the package faketime")
def test_step_of_the_clock_does_nothing(checks: Checks) -> None:
    """A wall clock that goes back an hour, then forward two, replaces no worker while the monotonic one runs."""
    checks["clock"].result()


STUBBORN = """
    import asyncio
    print("under way", flush=True)
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass
"""


async def test_shutdown_runs_although_the_master_is_killed(site: Site) -> None:
    """lifespan.shutdown still has its second if the master is gone and a handler ignores its cancellation."""
    slow = source(body=STUBBORN).replace('print("shutdown', "await __import__('asyncio').sleep(0.6); print(\"shutdown")
    site.write(slow)
    with serving(site.name, workers=1, **site.options) as server:
        async with await Connection.open(server.address()) as connection:
            connection.send("GET", "/")
            await until(lambda: server.logged("under way") == 1, 5)
            (pid,) = server.pids()
            server.signal(signal.SIGKILL)
            try:
                await until(lambda: not is_alive(pid), 10, "the end of the worker")
            finally:
                if is_alive(pid):
                    os.kill(pid, signal.SIGKILL)

        assert server.messages().count("shutdown has run") == 1


async def test_lost_socket_file_does_not_break_the_stop() -> None:
    """When the socket files have been removed, SIGTERM still ends all workers with code 0."""
    with serving() as server:
        pids = server.pids()
        for path in server.folder.glob("*.sock"):
            path.unlink()
        server.signal(signal.SIGTERM)

        assert await server.exit_code(6) == 0
        assert not [pid for pid in pids if is_alive(pid)]


@pytest.mark.parametrize("slots", ["unix", "tcp", "shared"])
async def test_workers_end_when_their_master_is_killed(slots: Slots) -> None:
    """All workers are gone within three seconds after SIGKILL of the master, whatever connections they have open."""
    with serving(slots=slots) as server:
        socket = await WebSocket.open(server.address())
        stream = await EventStream.open(server.address(1))
        slow = await begin(server.address(), "/wait?ms=10000")
        pids = server.pids()
        start = time.monotonic()
        server.signal(signal.SIGKILL)
        try:
            await until(lambda: not [pid for pid in pids if is_alive(pid)], 10, "the end of the workers")
            seconds = time.monotonic() - start
        finally:
            for pid in [pid for pid in pids if is_alive(pid)]:
                os.kill(pid, signal.SIGKILL)
        await asyncio.gather(slow.close(), socket.close(), stream.close(), return_exceptions=True)

        print(f"gone after {seconds:.1f} s")
        assert seconds < 3
