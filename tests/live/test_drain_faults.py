"""A failure in a worker is logged once per kind; the worker still serves, drains and runs lifespan.shutdown."""

import asyncio
import resource
import signal
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import pytest

from tests.harness.at_once import coroutines_at_once
from tests.harness.client import Connection, request
from tests.harness.processes import until
from tests.harness.stack import Server, serving
from tests.live.sites import Site, source

TICKS = 15  # periodic checks of a worker before a test goes on
SPENT = {"MAX_WORKER_MEMORY": str(1 << 40)}  # makes each periodic check read /proc

# Statements of the app's startup that break the check that a worker makes ten times a second.
COUNTED = """
        import errno, os, pathlib
        from slipway.serving import spent
        class Broken(type(spent.STATM)):
            def read_text(self, *args):
                print("a look", flush=True)
                {statement}
        spent.STATM = Broken({path!r})
"""
BROKEN = {
    "descriptors": ("raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))", "/proc/self/statm"),
    "memory": ("raise MemoryError", "/proc/self/statm"),
    "memory of the system": ("raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))", "/proc/self/statm"),
    "no /proc": ("return super().read_text(*args)", "/nothing/statm"),
    "empty /proc": ("return super().read_text(*args)", "/dev/null"),
}


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, "Future[None]"]:
    """Workers whose periodic check fails, each in a server of its own."""
    cases = {fault: partial(_looks, Site(tmp_path_factory.mktemp("site")), *what) for fault, what in BROKEN.items()}
    return coroutines_at_once(cases)


async def _looks(site: Site, statement: str, path: str) -> None:
    site.write(source(startup=COUNTED.format(statement=statement, path=path)))
    with serving(site.name, workers=1, **site.options, **SPENT) as server:
        async with await Connection.open(server.address()) as kept:
            async with asyncio.timeout(10):
                while server.logged("a look") < TICKS:  # a worker at rest checks rarely
                    assert (await kept.request("GET", "/")).body == b"old"

        assert server.logged("Looking whether to be replaced failed") == 1
        await _ends_well(server)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("fault", BROKEN)
def test_failing_looks_around(looks: dict[str, "Future[None]"], fault: str) -> None:
    """Whatever makes each periodic check fail, the worker answers, and one line reports the failure."""
    looks[fault].result()


async def test_loan_of_a_lost_listener(site: Site) -> None:
    """A slot on loan whose listener is gone costs one line in the log; the borrower serves its own slot, and drains."""
    found = "next(each for each in gc.get_objects() if isinstance(each, Worker) and each.pid == os.getpid())"
    lost = f"me = {found}; [each.close() for each in me.handover.listeners if each not in me.handover.own]"
    site.write(source(startup=f"import gc, os; from slipway.serving.worker import Worker; {lost}"))
    with serving(site.name, **site.options) as server:
        server.signal(signal.SIGTTOU)
        await until(lambda: len(server.pids()) == 1, 10)
        (borrower,) = server.pids()
        await until(lambda: _said(server, borrower, "Serving a slot on loan failed"), 10)

        assert (await request(server.address(1), "GET", "/")).body == b"old"  # the oldest worker, of slot 0, has left
        assert _said(server, borrower, "Serving a slot on loan failed") == 1
        await _ends_well(server, shutdowns=2)


async def test_worker_out_of_descriptors(site: Site) -> None:
    """Out of descriptors, a worker serves its connections, logs this once, and accepts clients once it has one."""
    site.write(source())
    with serving(site.name, workers=1, **site.options, **SPENT) as server:
        async with await Connection.open(server.address()) as kept:
            assert (await kept.request("GET", "/")).body == b"old"
            _limit_descriptors(server.pids()[0], 0)
            await until(lambda: server.logged("Accepting clients failed"), 10)
            async with await Connection.open(server.address()) as waits:
                waits.send("GET", "/")

                assert (await kept.request("GET", "/")).body == b"old"
                for what in ("Accepting clients", "Looking whether to be replaced"):
                    assert server.logged(f"{what} failed") == 1
                _limit_descriptors(server.pids()[0], 200)
                assert (await waits.head())[0] == 200
        _limit_descriptors(server.pids()[0], 0)
        await _ends_well(server)


async def test_reload_of_a_worker_out_of_descriptors(site: Site) -> None:
    """A client that waits for a worker without a free descriptor is answered by its successor."""
    with serving(site.name, workers=1, **site.options) as server:
        _limit_descriptors(server.pids()[0], 0)
        await until(lambda: server.logged("Accepting clients failed"), 10)
        async with await Connection.open(server.address()) as waits:
            waits.send("GET", "/")
            code, output = await server.reload()

            assert (code, (await waits.head())[0]) == (0, 200), output
        await _ends_well(server, shutdowns=2)


def _limit_descriptors(pid: int, free: int) -> None:
    """Leave a process `free` descriptors above its highest one."""
    highest = max(int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir())
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 1 + free, hard))


async def _ends_well(server: Server, shutdowns: int = 1) -> None:
    server.signal(signal.SIGTERM)
    assert await server.exit_code(6) == 0
    assert server.logged("shutdown has run") == shutdowns
    assert not server.logged("Traceback")
    assert not server.logged("did not end cleanly")


def _said(server: Server, pid: int, text: str) -> int:
    """Return how often a worker has logged a text."""
    return sum(f'"pid": {pid},' in line and text in line for line in server.log().splitlines())
