"""A reload loses nothing, and is refused when the new code does not start."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from slipway.ops.settings import ROOT
from tests.harness.client import request
from tests.harness.load import Load
from tests.harness.processes import is_alive, until
from tests.harness.stack import Server, Slots, behind_nginx, serving
from tests.harness.walks import walk
from tests.live import sites
from tests.live.sites import GET_OLD, Site, source


@pytest.mark.parametrize("slots", ["shared", "tcp"])
async def test_reload_loses_nothing_with_other_listeners(slots: Slots) -> None:
    """A reload loses nothing with the address that all workers share, used directly, or with TCP slots behind nginx."""
    with serving(workers=2, slots=slots) as server, behind_nginx(server) as proxy:
        address = server.address() if slots == "shared" else proxy.address

        async with Load(address, kept=8, fresh=8, rate=500) as load:
            assert (await server.reload())[0] == 0
            await load.until(1_000)

        assert not load.report.lost


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Site]]:
    """A server whose code each test breaks and repairs."""
    site = Site(tmp_path_factory.mktemp("site"))
    with serving(site.name, **site.options) as server:
        yield server, site


async def _by_command(server: Server) -> str:
    code, output = await server.reload()
    assert code == 1, output
    return output


async def _by_signal(server: Server) -> str:
    number = server.status()["reload"]["number"]
    server.signal(signal.SIGHUP)
    await until(lambda: server.status()["reload"]["number"] > number, 5, "the reload")
    await until(lambda: server.status()["reload"]["state"] != "running", 30, "its end")
    return str(server.status()["reload"]["reason"])


Ask = Callable[[Server], Awaitable[str]]
ASKS: dict[str, Ask] = {"command": _by_command, "signal": _by_signal}


@pytest.mark.parametrize("ask", walk(ASKS, *ASKS))
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise RuntimeError('broken on import')", "broken on import"),
        ("application = (", "SyntaxError"),
        (source(startup=sites.FAILS_IN_STARTUP), "failed on purpose"),
        (source(startup=sites.RAISES_IN_STARTUP), "RuntimeError: raised on purpose"),
        (source(startup=sites.HANGS_IN_STARTUP), "not ready after 5 s"),
    ],
    ids=["does-not-import", "is-no-python", "fails-in-startup", "raises-in-startup", "hangs-in-startup"],
)
async def test_code_that_does_not_start_is_refused(
    broken: tuple[Server, Site], code: str, reason: str, ask: Ask
) -> None:
    """The old workers keep serving and the reason is reported; with correct code the next reload succeeds."""
    server, site = broken
    site.write(source())
    assert (await server.reload())[0] == 0
    before = server.pids()

    async with Load(server.address(), [GET_OLD], kept=2, rate=50) as load:
        site.write(code)
        told = await ask(server)

    assert reason in told
    assert "new code already" not in told
    assert load.report.total and not load.report.lost
    assert server.pids() == before

    site.write(source(answer="new"))
    assert (await server.reload())[0] == 0
    assert (await request(server.address(), "GET", "/")).body == b"new"


@contextmanager
def _serving_by_a_copy(site: Site, folder: Path) -> Iterator[tuple[Server, Path, str]]:
    """Run a server; yield it, the copy of gunicorn.conf.py that it reads, and the text of the copy."""
    configuration, right = folder / "gunicorn.conf.py", (ROOT / "gunicorn.conf.py").read_text()
    configuration.write_text(right)
    options = {**site.options, "PYTHONPATH": f"{folder}:{ROOT}"}
    with serving(site.name, arguments=["-c", str(configuration)], **options) as server:
        yield server, configuration, right


@pytest.mark.parametrize("ask", walk(ASKS, "command"))
async def test_broken_configuration_is_refused(site: Site, tmp_path: Path, ask: Ask) -> None:
    """After a gunicorn.conf.py that raises, is no Python or has wrong values, the old workers keep serving."""
    with _serving_by_a_copy(site, tmp_path) as (server, configuration, right):
        before = server.pids()
        for wrong, reason in [
            (f"{right}\nraise RuntimeError('broken on purpose')", "broken on purpose"),
            ("workers = (", "SyntaxError"),
            (f"{right}\ntimeout = 'soon'", "soon"),
            (f"{right}\nbind = '127.0.0.1:1'", "127.0.0.1"),
            (f"{right}\ngraceful_timeout = 50", "50"),
        ]:
            configuration.write_text(wrong)
            assert reason in await ask(server)

            assert server.pids() == before
            assert (await request(server.address(), "GET", "/")).body == b"old"


# Appended to gunicorn.conf.py; each raises in the arbiter alone, after the checks have passed.
RAISES_LATE = {
    "configuration": "import sys\nif '--check-config' not in sys.argv: raise RuntimeError('on purpose')",
    "configuration-exits": "import sys\nif '--check-config' not in sys.argv: sys.exit('on purpose')",
    "on_reload": "def on_reload(server): raise RuntimeError('on purpose')",
    "on_reload-error": "def on_reload(server): raise OSError(28, 'on purpose')",
    "nworkers_changed": "def nworkers_changed(server, new, old): raise RuntimeError('on purpose')",
    "pre_fork": "def pre_fork(server, worker): raise RuntimeError('on purpose')",
}


@pytest.mark.parametrize("ask", walk(ASKS, "command"))
@pytest.mark.parametrize("addition", walk(RAISES_LATE, "configuration", "on_reload", "pre_fork"))
async def test_any_error_in_a_reload_is_a_refusal(site: Site, tmp_path: Path, addition: str, ask: Ask) -> None:
    """Whatever raises in the arbiter during a reload, the old workers keep serving, and the next reload works."""
    with _serving_by_a_copy(site, tmp_path) as (server, configuration, right):
        before = server.pids()
        configuration.write_text(f"{right}\n{addition}\n")
        reason = await ask(server)

        assert "on purpose" in reason or "can't be read" in reason
        assert server.pids() == before
        assert (await request(server.address(), "GET", "/")).body == b"old"
        configuration.write_text(right)
        assert (await server.reload())[0] == 0


async def test_workers_are_replaced_one_at_a_time(site: Site) -> None:
    """Each new worker starts after the one before it has finished its startup, and no fewer workers serve meanwhile."""
    slow = "import asyncio; print('begins', flush=True); await asyncio.sleep(0.3); print('is up', flush=True)"
    with serving(site.name, workers=3, **site.options) as server:
        site.write(source(startup=slow))
        reloading = asyncio.create_task(server.reload())
        fewest = 3
        while not reloading.done():
            fewest = min(fewest, len(server.status()["serving"]))
            await asyncio.sleep(0.01)

        assert (await reloading)[0] == 0
        assert fewest == 3
        assert [text for text in server.messages() if text in ("begins", "is up")] == ["begins", "is up"] * 3


async def test_refusal_half_way_says_so(site: Site, tmp_path: Path) -> None:
    """When the second new worker does not start, one has the new code, and log, status and command say what to do."""
    starts = tmp_path / "starts"
    with serving(site.name, workers=3, **site.options) as server:
        count = f"import pathlib; starts = pathlib.Path({str(starts)!r}).open('a'); starts.write('.'); starts.flush()"
        site.write(source(answer="new", startup=f"{count}; assert starts.tell() != 2, 'the second start'"))
        code, output = await server.reload()

        reason = f"AssertionError: the second start ({tmp_path}/site_app.py, line 5)"
        hint = f"{reason}; 1 of 3 workers run the new code already: mend it and reload again"
        assert (code, output) == (1, f"reload refused: {hint}\n")
        assert server.status()["reload"]["reason"] == hint
        await until(lambda: server.logged(f"Reload refused: {hint}") == 1, 5)  # it is written a moment later
        answers = [(await request(server.address(slot), "GET", "/")).body for slot in range(3)]
        assert answers == [b"new", b"old", b"old"]

        assert (await server.reload())[0] == 0
        answers = [(await request(server.address(slot), "GET", "/")).body for slot in range(3)]
        assert answers == [b"new"] * 3


async def test_two_hangups_end_with_the_newest_code(site: Site) -> None:
    """A SIGHUP during a reload is not lost: the code then on disk is loaded afterwards."""
    with serving(site.name, **site.options) as server:
        site.write(source(answer="new"))
        server.signal(signal.SIGHUP)
        await until(lambda: len(server.pids()) > server.workers, 20, "the first successor")
        site.write(source(answer="end"))
        server.signal(signal.SIGHUP)
        await until(lambda: server.status()["reload"]["number"] == 2, 30, "the second reload")
        await until(lambda: server.status()["reload"]["state"] == "done", 30, "its end")

        for slot in range(server.workers):
            assert (await request(server.address(slot), "GET", "/")).body == b"end"
        assert len(server.pids()) == server.workers


async def test_stop_during_a_reload(site: Site) -> None:
    """SIGTERM during a reload whose new worker hangs in startup ends everything within the graceful time-out."""
    with serving(site.name, **site.options) as server:
        site.write(source(startup=sites.HANGS_IN_STARTUP))
        server.signal(signal.SIGHUP)
        await until(lambda: len(server.pids()) > server.workers, 20, "the first successor")
        pids = server.pids()
        server.signal(signal.SIGTERM)

        assert await server.exit_code(6) == 0
        assert not [pid for pid in pids if is_alive(pid)]


async def test_worker_killed_during_a_reload() -> None:
    """A worker that is killed while others are replaced is replaced, too, and the reload succeeds."""
    with serving(workers=3) as server:
        reloading = asyncio.create_task(server.reload())
        await until(lambda: len(server.pids()) > server.workers, 20, "the first successor")
        os.kill(server.pids()[1], signal.SIGKILL)

        assert (await reloading)[0] == 0
        await until(lambda: len(server.pids()) == server.workers, 10, "all workers")


async def test_more_workers_during_a_reload(site: Site) -> None:
    """A SIGTTIN during a reload takes effect: afterwards there are three workers, all with the new code."""
    with serving(site.name, **site.options) as server:
        old = set(server.pids())
        site.write(source(answer="new"))
        reloading = asyncio.create_task(server.reload())
        await until(lambda: len(server.pids()) > server.workers, 20, "the first successor")
        server.signal(signal.SIGTTIN)

        assert (await reloading)[0] == 0
        await until(lambda: len(server.status()["serving"]) == 3 == len(server.pids()), 10, "three workers")
        assert not old & set(server.pids())
        for slot in range(2):
            assert (await request(server.address(slot), "GET", "/")).body == b"new"
