"""A reload of the stack loses nothing, and load tests agree: users reconnect, resume, and miss nothing."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from slipway.ops import wait
from tests.harness.processes import BIN, Process, free_ports, running
from tests.harness.stack import behind_nginx, serving
from tests.harness.walks import walk

BACK = ("/ws/echo came back", "/ws/chat came back", "/events came back")


HOW = {"echo alone": ["EchoUser"], "mix": [], "mix of two processes": ["--processes", "2"]}


# "All users spawned" counts only users that workers report within this time; by default it is 0.1 s.
REPORT_SECONDS = {"LOCUST_WAIT_FOR_WORKERS_REPORT_AFTER_RAMP_UP": "40"}


@pytest.mark.parametrize("how", walk(HOW, "mix of two processes"))
async def test_a_reload_under_load_is_no_failure(tmp_path: Path, how: list[str]) -> None:
    """The exit code is 0 without a failure, and each kind of connection reports its reconnects."""
    master = str(free_ports())
    with serving() as server, behind_nginx(server) as proxy:
        command = [str(BIN / "locust"), "-f", "loadtest", "--headless", "--only-summary", "-u", "24", "-r", "100"]
        command += ["--rate", "2", "--host", proxy.url, "--master-bind-port", master, "--master-port", master, *how]
        with running(Process(command, tmp_path / "log", {**os.environ, **REPORT_SECONDS})) as run:
            assert await asyncio.to_thread(wait.until, lambda: run.logged("All users spawned"), 40)
            for _ in range(2):  # connections ended by the first are back, after 1 s, before the second ends
                assert (await server.reload())[0] == 0
            os.kill(run.pid, signal.SIGTERM)
            assert await asyncio.to_thread(wait.until, lambda: run.code is not None, 50)

            assert run.code == 0, run.log()
            assert all(run.logged(text) for text in (BACK[:1] if "EchoUser" in how else BACK))
