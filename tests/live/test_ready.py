"""A successor takes its predecessor's place only if it is ready where the predecessor was."""

import os
import signal
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import pytest

from tests.harness.at_once import coroutines_at_once
from tests.harness.client import request
from tests.harness.load import Load, Report
from tests.harness.processes import until
from tests.harness.stack import Slots, serving
from tests.harness.walks import walk
from tests.live.sites import GET_OLD, Site, source

RESPONSE = (
    "await send({{'type': 'http.response.start', 'status': {}}}); await send({{'type': 'http.response.body'}}); return"
)
HANGS = "import asyncio; await asyncio.sleep(3600)"


def code(answer: str, ready: str | int, path: str = "/readyz") -> str:
    """Return the code of an app whose ready path answers `ready`, which is a status or a statement."""
    statement = RESPONSE.format(ready) if isinstance(ready, int) else ready
    return source(answer=answer, body=f"if scope['path'] == {path!r}: {statement}")


REFUSED: dict[str, tuple[int, str | int, str]] = {
    "500": (200, 500, "answers 500, before 200"),
    "404": (204, 404, "answers 404, before 204"),
    "503": (200, 503, "answers 503, before 200"),
    "400": (302, 400, "answers 400, before 302"),
    "raises": (200, "raise RuntimeError('on purpose')", "raises, before 200"),
    "sends nothing": (200, "return", "raises, before 200"),
    "hangs": (200, HANGS, "gives no answer, before 200"),
}
ACCEPTED: dict[str, tuple[str | int, str | int]] = {
    "404-404": (404, 404),  # an app that never had a ready path
    "404-500": (404, 500),
    "503-503": (503, 503),  # a dependency is away
    "500-200": (500, 200),
    "hangs-503": (HANGS, 503),
    "200-299": (200, 299),
    "200-302": (200, 302),
}


@dataclass(frozen=True)
class Seen:
    """The result of a reload."""

    code: int
    output: str
    answer: bytes
    report: Report
    before: list[int]
    """The workers' pids."""
    after: list[int]


Reloads = dict[str, "Future[Seen]"]


@pytest.fixture(scope="module", params=walk(["unix", "shared"], "unix"))
def reloads(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Reloads:
    """All reloads of both tables on one kind of listener, at the same time: most of them wait until TIMEOUT."""
    tables = {**{name: codes[:2] for name, codes in REFUSED.items()}, **ACCEPTED}
    return coroutines_at_once(
        {
            name: partial(_reloaded, Site(tmp_path_factory.mktemp("site")), request.param, *codes)
            for name, codes in tables.items()
        }
    )


async def _reloaded(site: Site, slots: Slots, old: str | int, new: str | int) -> Seen:
    """Reload under load, and wait until no more workers run than before."""
    site.write(code("old", old))
    with serving(site.name, slots=slots, **site.options) as server:
        before = server.pids()
        async with Load(server.address(), [GET_OLD], kept=2, fresh=2, rate=100) as load:
            site.write(code("new", new))
            status, output = await server.reload()
        with suppress(TimeoutError):
            await until(lambda: len(server.pids()) == len(before), 10)
        answer = await request(server.address(), "GET", "/")
        return Seen(status, output, answer.body, load.report, before, server.pids())


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", REFUSED)
def test_code_that_is_not_ready_is_refused(reloads: Reloads, name: str) -> None:
    """The reload is refused with the reason, no client ever meets the new code, and the new worker ends."""
    seen = reloads[name].result()

    assert seen.code == 1
    assert REFUSED[name][2] in seen.output
    assert not seen.report.lost
    assert seen.after == seen.before


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", ACCEPTED)
def test_code_that_is_no_less_ready_is_accepted(reloads: Reloads, name: str) -> None:
    """New code need not be ready where the old code was not; where both are, the reload is done."""
    seen = reloads[name].result()

    assert (seen.code, seen.output) == (0, "2 workers replaced\n")
    assert seen.answer == b"new"


async def test_app_that_gets_ready_later_is_waited_for(site: Site) -> None:
    """A new worker that is ready only some time after its startup is accepted."""
    with serving(site.name, **site.options) as server:
        late = "import time; globals().setdefault('began', time.monotonic())"
        status = f"{late}; ready = time.monotonic() - began > 1.0"
        response = RESPONSE.format("200 if ready else 503")
        site.write(source(answer="new", body=f"if scope['path'] == '/readyz': {status}; {response}"))

        assert (await server.reload())[0] == 0
        assert (await request(server.address(), "GET", "/")).body == b"new"


@pytest.mark.parametrize(("setting", "asked"), [("/health/ready", "/health/ready"), ("none", "/readyz")])
async def test_ready_path_is_a_setting(site: Site, setting: str, asked: str) -> None:
    """READY_PATH names another path to check; with `none` no path is checked."""
    site.write(code("old", 200, asked))
    with serving(site.name, READY_PATH=setting, **site.options) as server:
        site.write(code("new", 500, asked))
        status, output = await server.reload()

        assert status == (0 if setting == "none" else 1)
        assert setting == "none" or f"{asked} answers 500" in output


async def test_worker_on_refused_code_is_told(site: Site) -> None:
    """After a refused reload the successor of a killed worker runs the code on disk, and log and status say so."""
    site.write(code("old", 200))
    with serving(site.name, **site.options) as server:
        site.write(code("new", 500))
        assert (await server.reload())[0] == 1
        await until(lambda: len(server.pids()) == 2, 10)
        assert server.status()["on_refused_code"] == []
        before = {*server.pids()}
        killed = server.pids()[0]
        os.kill(killed, signal.SIGKILL)
        await until(lambda: len(server.status()["serving"]) == 2 and killed not in server.status()["serving"], 10)

        (newest,) = {*server.status()["serving"]} - before
        assert server.status()["on_refused_code"] == [newest]
        await until(lambda: server.logged("runs the code on disk, and the last reload was refused") == 1, 5)
        site.write(code("end", 200))
        assert (await server.reload())[0] == 0
        assert server.status()["on_refused_code"] == []


async def test_recycled_worker_stays_until_its_successor_is_ready(site: Site) -> None:
    """A worker that has reached MAX_REQUESTS keeps serving while the code on disk is not ready."""
    site.write(code("old", 200))
    with serving(site.name, workers=1, MAX_REQUESTS="20", MAX_REQUESTS_JITTER="1", **site.options) as server:
        before = server.pids()
        site.write(code("new", 500))
        async with Load(server.address(), [GET_OLD], kept=1, fresh=1, rate=50) as load:
            await until(lambda: server.logged("the old one serves on"), 30)

        assert not load.report.lost
        assert before[0] in server.pids()
