"""Whatever connections clients hold open, a reload and a stop lose nothing, end in time, and end cleanly."""

import asyncio
import re
import signal
from collections.abc import Sequence

import pytest

from tests.harness.client import Answer, request
from tests.harness.load import Load
from tests.harness.processes import is_alive
from tests.harness.stack import Nginx, Server, behind_nginx, serving
from tests.harness.walks import walk
from tests.live.connections import KINDS, Kind, holding, holding_behind_nginx, under_way
from tests.live.sites import SHORT

APP = "tests.live.holding:application"
GRACEFUL_SECONDS = float(SHORT["GRACEFUL_TIMEOUT"])
SLOW = 8  # requests through nginx that are under way when the stop begins
EACH = walk({kind.name: kind for kind in KINDS}, "idle", "stream not reading")
STOPS = walk({number.name: number for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)}, "SIGTERM")


@pytest.mark.parametrize("kind", EACH)
async def test_each_kind(kind: Kind) -> None:
    """A reload and then SIGTERM under load lose nothing, with one kind held at each worker and through nginx."""
    await _reload_and_stop([kind], signal.SIGTERM)


@pytest.mark.parametrize("number", STOPS)
async def test_all_kinds_at_once(number: signal.Signals) -> None:
    """A reload and then each signal that stops lose nothing, with all kinds held at the same time."""
    await _reload_and_stop(KINDS, number)


async def _reload_and_stop(kinds: Sequence[Kind], number: signal.Signals) -> None:
    with serving(APP, PRESTART="none", **SHORT) as server, behind_nginx(server) as proxy:
        first = server.pids()
        addresses = [server.address(slot) for slot in range(2)]
        async with (
            holding_behind_nginx(kinds, proxy.address),
            Load(proxy.address, kept=4, fresh=4, rate=200) as load,
            holding(kinds, addresses) as held,
        ):
            reloaded = await server.reload()
            ends = await asyncio.gather(*(each.end() for each in held))
            gone = [pid for pid in first if not is_alive(pid)]
        async with (
            holding_behind_nginx(kinds, proxy.address),
            Load(proxy.address, kept=4, fresh=4, rate=200) as last_load,
            holding(kinds, addresses) as held,
        ):
            slow, exit_code = await _stop(server, proxy, number)
            ends += await asyncio.gather(*(each.end() for each in held))

        assert reloaded[0] == 0, reloaded
        assert "\n".join(filter(None, ends)) == ""
        assert (load.report.lost, [answer.status for answer in slow]) == ({}, [200] * SLOW)
        assert {outcome for _, outcome in last_load.report.lost} <= {"502"}  # no longer accepted
        assert _broken(proxy) == []
        assert gone == first
        assert exit_code == 0
        assert server.logged("shutdown has run") == 4
        for sign in ("Traceback", "killed", "did not end cleanly"):
            assert sign not in server.log(), server.log()


async def _stop(server: Server, proxy: Nginx, number: signal.Signals) -> tuple[list[Answer], int]:
    """Stop the server; return the answers to requests that were under way, and the exit code."""
    slow = [asyncio.create_task(request(proxy.address, "GET", "/last")) for _ in range(SLOW)]
    await under_way([server.address(slot) for slot in range(2)], SLOW, "/last")
    server.signal(number)
    exit_code = await server.exit_code(GRACEFUL_SECONDS + 1)
    return await asyncio.gather(*slow), exit_code


def _broken(proxy: Nginx) -> list[str]:
    """Return nginx's log lines about requests of the load that a worker had accepted and did not answer."""
    ours = ('"GET /plaintext ', '"POST /echo ')
    lines = [line for line in proxy.log().splitlines() if any(request in line for request in ours)]
    return [line for line in lines if re.search("prematurely closed|reset by peer|Broken pipe", line)]
