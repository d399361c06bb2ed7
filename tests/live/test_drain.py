"""How a worker ends: it answers its requests, tells its clients, cleans up, and exits in time."""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from slipway.ops.settings import ROOT
from tests.harness.client import Connection, EventStream
from tests.harness.processes import is_alive, pause, until
from tests.harness.stack import Server, Slots, serving
from tests.harness.websocket import WebSocket
from tests.live.barriers import begin
from tests.live.sites import Site, source

SLOW = "/wait?ms=3500"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
async def test_quick_stop(number: signal.Signals) -> None:
    """SIGINT and SIGQUIT end a server in four seconds, whatever is open, and every worker's shutdown has run."""
    with serving(workers=2) as server:
        sockets = await asyncio.gather(*(WebSocket.open(server.address(slot % 2)) for slot in range(20)))
        stream = await EventStream.open(server.address())
        slow = await begin(server.address(), "/wait?ms=10000")

        server.signal(number)
        codes = await asyncio.gather(*(each.close_code() for each in sockets))

        assert await server.exit_code(5) == 0
        assert set(codes) == {1012}
        assert (await stream.rest()).endswith("retry: 1000\n\n")
        assert server.logged("Application shutdown complete.") == 2
        with suppress(OSError, EOFError):
            assert (await slow.head())[0] == 500
        await slow.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
async def test_stop_with_a_blocked_worker(site: Site, number: signal.Signals) -> None:
    """A blocked worker is killed: the server ends in the graceful time-out, on SIGINT and SIGQUIT in four seconds."""
    site.write(source(body="if scope['path'] == '/block': print('blocks', flush=True); __import__('time').sleep(60)"))
    with serving(site.name, **site.options) as server:
        async with await Connection.open(server.address()) as blocked:
            blocked.send("GET", "/block")
            await until(lambda: server.logged("blocks"), 5)
            server.signal(number)

            assert await server.exit_code(6) == 0
        assert server.logged("shutdown has run") == 1


async def test_stop_that_comes_late(site: Site) -> None:
    """A worker that is told to stop again after its loop is closed ends without logging an error about it."""
    site.write(source(startup="import atexit, time; atexit.register(time.sleep, 0.5)"))
    with serving(site.name, workers=1, **site.options) as server:
        worker = server.pids()[0]
        os.kill(worker, signal.SIGTERM)
        await until(lambda: server.logged("shutdown has run"), 5)
        while is_alive(worker):
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGTERM)
            await pause()
        await until(lambda: server.ready and server.pids() != [worker], 10)

        assert server.logged("loop is closed") == 0
        assert server.status()["unclean_ends"] == 0


async def test_draining_worker_says_so_and_beats() -> None:
    """While a request delays the drain, /readyz is 503, answers say `connection: close`, and clients are refused."""
    with serving(workers=1) as server:
        async with await Connection.open(server.address()) as kept, await begin(server.address(), SLOW) as slow:
            assert (await kept.request("GET", "/readyz")).status == 200
            beats = [_beat(server)]

            server.signal(signal.SIGTERM)
            await until(lambda: server.logged("Draining"), 5)
            answer = await kept.request("GET", "/readyz")
            with pytest.raises(OSError):
                await Connection.open(server.address())
            for _ in range(3):
                await until(lambda: _beat(server) != beats[-1], 3, "the next heartbeat")
                beats.append(_beat(server))

            assert answer.status == 503
            assert b'"draining":"fail"' in answer.body
            assert answer.headers["connection"] == "close"
            status, headers = await slow.head()
            assert (status, headers["connection"]) == (200, "close")
        assert await server.exit_code(6) == 0


def _beat(server: Server) -> float:
    """Return the time of the only worker's last heartbeat, which is the mtime of an unlinked file."""
    (pid,) = server.pids()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            if "wgunicorn-" in str(link.readlink()):
                return link.stat().st_mtime
    raise AssertionError("there is no heartbeat file")


@pytest.mark.parametrize("slots", ["unix", "tcp", "shared"])
async def test_who_waits_in_a_queue_is_answered(slots: Slots) -> None:
    """Requests on connections that no worker had accepted when the stop began are answered all the same."""
    with serving(workers=2, slots=slots) as server:
        pids = server.pids()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        connections = [await Connection.open(server.address(number % 2)) for number in range(40)]
        for connection in connections:
            connection.send("GET", "/plaintext")

        server.signal(signal.SIGTERM)
        await until(lambda: server.logged("Handling signal: term"), 5)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        heads = await asyncio.gather(*(connection.head() for connection in connections))

        assert [status for status, _ in heads] == [200] * 40
        assert await server.exit_code(6) == 0
        for connection in connections:
            await connection.close()


async def test_hooks_and_exit_handlers_run(site: Site, tmp_path: Path) -> None:
    """lifespan.shutdown, gunicorn's worker_exit hook and the exit handlers run at the end, in this order."""
    configuration = tmp_path / "gunicorn.conf.py"
    hook = "\ndef worker_exit(arbiter, worker):\n    print('worker_exit has run', flush=True)\n"
    configuration.write_text((ROOT / "gunicorn.conf.py").read_text() + hook)
    site.write(source(startup="import atexit; atexit.register(print, 'exit handlers have run', flush=True)"))
    options = {**site.options, "PYTHONPATH": f"{tmp_path}:{ROOT}"}

    with serving(site.name, workers=1, arguments=["-c", str(configuration)], **options) as server:
        server.signal(signal.SIGTERM)
        assert await server.exit_code(6) == 0

        said = [text for text in server.messages() if "has run" in text or "have run" in text]
        assert said == ["shutdown has run", "worker_exit has run", "exit handlers have run"]


async def test_shutdown_that_hangs_is_left_alone(site: Site) -> None:
    """A lifespan.shutdown that never ends does not keep the server from ending in time with code 0."""
    hangs = source().replace('print("shutdown has run", flush=True)', "await __import__('asyncio').sleep(3600)")
    site.write(hangs)
    with serving(site.name, workers=1, **site.options) as server:
        server.signal(signal.SIGTERM)

        assert await server.exit_code(6) == 0
        assert server.logged("lifespan.shutdown does not end")
