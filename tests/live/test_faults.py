"""The server survives faults around it: lost folders, full disks, failed forks, frozen time.

Each fault is a row; a worker is killed during it, so that the arbiter has something to do.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from resource import RLIMIT_NOFILE, prlimit

import pytest

from tests.harness.at_once import coroutines_at_once
from tests.harness.client import request
from tests.harness.load import Load
from tests.harness.processes import free_ports, running, short_folder, until
from tests.harness.stack import Server, serving
from tests.harness.walks import walk
from tests.live.sites import GET_OLD, Site, source

HEAL_SECONDS = 15.0
RESTS = 3.0  # seconds after which the arbiter has seen that nothing changes


@contextmanager
def in_own_folder(site: Site, parent: Path, **options: str) -> Iterator[Server]:
    """Run a server whose folder of sockets holds nothing else, so that the folder may be lost."""
    server = Server(parent / "run", site.name, **{**site.options, **options})
    server.folder.mkdir()
    server.log_path = parent / "gunicorn.log"
    with running(server):
        yield server


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[None]:
    """Mount a small file system in memory; skip the test where this is not allowed."""
    folder.mkdir(exist_ok=True)
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], stderr=subprocess.DEVNULL
    ).returncode:
        pytest.skip("needs the right to mount")
    try:
        yield
    finally:
        unmount(folder)


def mount_read_only(folder: Path) -> None:
    """Bind the folder over itself, read-only; open files prevent this for the file system itself."""
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)


def unmount(folder: Path) -> None:
    subprocess.run(["umount", "-l", folder], check=True)


def tells(server: Server) -> bool:
    """Return whether the files beside the sockets name the serving workers and lead nginx to their slots."""
    with suppress(OSError, ValueError):
        serving = set(server.status()["serving"]) == set(server.pids()) and len(server.pids()) == 2
        links = [(server.folder / f"slot-{slot}.sock").resolve().name for slot in range(2)]
        return (
            serving
            and links == ["app-0.sock", "app-1.sock"]
            and "slot-1.sock" in (server.folder / "slots.conf").read_text()
        )
    return False


async def answers(server: Server) -> bool:
    """Return whether both slots answer."""
    with suppress(OSError, EOFError):
        return [(await request(server.address(slot), "GET", "/")).body for slot in range(2)] == [b"old", b"old"]
    return False


async def heals(server: Server, old: int) -> None:
    """Wait until a killed worker is replaced, both slots answer and the files are right."""
    async with asyncio.timeout(HEAL_SECONDS):
        while not (old not in server.pids() and tells(server) and await answers(server)):
            assert server.code is None, server.log()
            await asyncio.sleep(0.05)


def folder_in_place_of(name: str) -> Callable[[Path], None]:
    def put(folder: Path) -> None:
        path = folder / name
        path.unlink(missing_ok=True)
        (path / "inner").mkdir(parents=True)

    return put


def remove(pattern: str) -> Callable[[Path], None]:
    def unlink(folder: Path) -> None:
        for path in folder.glob(pattern):
            path.unlink()

    return unlink


def nothing(folder: Path) -> None:
    """Change nothing: it heals without help."""


def free(name: str) -> Callable[[Path], None]:
    return lambda folder: shutil.rmtree(folder / name)


Change = Callable[[Path], object]
LOSSES: dict[str, tuple[Change, Change]] = {
    "folder-removed": (shutil.rmtree, nothing),
    "folder-moved": (lambda folder: folder.rename(folder.with_name("away")), nothing),
    "all-files": (remove("*"), nothing),
    "sockets": (remove("app-*.sock"), nothing),
    "one-socket": (remove("app-1.sock"), nothing),
    "links": (remove("slot-*.sock"), nothing),
    "list-of-slots": (remove("slots.conf"), nothing),
    "other-list": (remove("listening.conf"), nothing),
    "status": (remove("app.json"), nothing),
    "status-is-a-folder": (folder_in_place_of("app.json"), free("app.json")),
    "new-status-is-a-folder": (folder_in_place_of("app.json.new"), free("app.json.new")),
    "link-is-a-folder": (folder_in_place_of("slot-0.sock"), free("slot-0.sock")),
    "list-is-a-folder": (folder_in_place_of("slots.conf"), free("slots.conf")),
}


@pytest.mark.parametrize(("lose", "give_back"), walk(LOSSES, "folder-removed", "one-socket", "link-is-a-folder"))
async def test_lost_files(site: Site, lose: Change, give_back: Change) -> None:
    """Whatever is lost beside the sockets, or the sockets themselves, workers serve, and everything comes back."""
    with short_folder() as parent, in_own_folder(site, parent) as server:
        await until(lambda: tells(server), 10)
        lose(server.folder)
        victim = server.pids()[0]
        os.kill(victim, signal.SIGKILL)
        await until(lambda: len(server.pids()) == 2 and victim not in server.pids(), HEAL_SECONDS, "a new worker")
        give_back(server.folder)
        await heals(server, victim)

        assert (await server.reload())[0] == 0
        second = Server(server.folder, site.name, **site.options)
        second.log_path = parent / "second.log"
        second.start()
        assert await second.exit_code(20) == 1
        assert "runs already" in second.log()


def says(paths: list[Path]) -> list[str]:
    return [path.read_text() for path in paths if path.exists()]


def leads_elsewhere(folder: Path) -> None:
    (folder / "slot-1.sock").unlink()
    (folder / "slot-1.sock").symlink_to("elsewhere.sock")


CHANGES = {
    **{name: lose for name, (lose, give_back) in LOSSES.items() if give_back is nothing},
    "link-leads-elsewhere": leads_elsewhere,
    "list-says-something-else": lambda folder: (folder / "slots.conf").write_text(""),
    "other-list-says-something-else": lambda folder: (folder / "listening.conf").write_text(""),
}


@pytest.mark.parametrize("change", walk(CHANGES, "status", "link-leads-elsewhere", "list-says-something-else"))
async def test_change_while_nothing_goes_on(site: Site, change: Change) -> None:
    """Files that have been right for long, and are checked by their times alone, are restored when they are changed."""
    with short_folder() as parent, in_own_folder(site, parent) as server:
        lists = [server.folder / name for name in ("slots.conf", "listening.conf")]
        await until(lambda: tells(server) and all(path.exists() for path in lists), 10)
        right = [path.read_text() for path in lists]
        await until(lambda: time.time() - max(path.stat().st_mtime for path in [server.folder, *lists]) > RESTS, 20)
        change(server.folder)

        await until(lambda: tells(server) and says(lists) == right, HEAL_SECONDS, "the files")
        await heals(server, 0)


@pytest.mark.parametrize("how", ["full", "read-only"])
async def test_disk_that_takes_nothing(site: Site, how: str) -> None:
    """On a full or read-only disk a killed worker is replaced, no request is lost, and the status is written later."""
    with short_folder() as parent, mounted(parent / "run", "128k"):
        server = Server(parent / "run", site.name, **site.options)
        server.log_path = parent / "gunicorn.log"
        with running(server):
            if how == "full":
                with suppress(OSError), (server.folder / "filling").open("wb", buffering=0) as filling:
                    while True:
                        filling.write(b"x" * 1024)
            else:
                mount_read_only(server.folder)
            victim = server.pids()[0]
            async with Load(server.address(1), [GET_OLD], kept=1, fresh=1, rate=50) as load:
                os.kill(victim, signal.SIGKILL)
                await until(lambda: victim not in server.pids() and len(server.pids()) == 2, HEAL_SECONDS)
                await until(lambda: server.logged("Failed, and goes on: telling the status"), HEAL_SECONDS)
                await load.until(load.report.total + 100)
            if how == "full":
                (server.folder / "filling").unlink()
            else:
                unmount(server.folder)
            await heals(server, victim)

            assert not load.report.lost
            assert server.logged("Failed, and goes on: telling the status") == 1
            assert sum(server.status()["faults"].values()) > 0


async def test_lost_socket_that_all_share(site: Site) -> None:
    """The file of a unix socket given by `--bind` is restored, too."""
    with short_folder() as folder:
        path = str(folder / "by-hand.sock")
        server = Server(folder, site.name, slots="shared", **site.options, GUNICORN_CMD_ARGS=f"--bind=unix:{path}")
        with running(server):
            before = server.pids()
            remove("by-hand.sock")(folder)
            await until(lambda: not set(before) & set(server.pids()) and len(server.pids()) == 2, HEAL_SECONDS)

            assert (await request(path, "GET", "/")).body == b"old"


PATCH = """
import os, pathlib
fork = os.fork
def failing():
    if pathlib.Path({flag!r}).exists():
        raise OSError({number}, os.strerror({number}))
    return fork()
os.fork = failing
"""


@contextmanager
def no_descriptor(server: Server, folder: Path) -> Iterator[None]:
    """Leave the arbiter no descriptor that it could open."""
    soft, hard = prlimit(server.pid, RLIMIT_NOFILE)
    prlimit(server.pid, RLIMIT_NOFILE, (4, hard))
    yield
    prlimit(server.pid, RLIMIT_NOFILE, (soft, hard))


@contextmanager
def no_process(server: Server, folder: Path) -> Iterator[None]:
    """Make fork fail; a limit of processes does not apply to root."""
    (folder / "fails").touch()
    yield
    (folder / "fails").unlink()


@contextmanager
def no_folder(server: Server, folder: Path) -> Iterator[None]:
    """Remove the folder of the heartbeat files."""
    (folder / "beats").rmdir()
    yield
    (folder / "beats").mkdir()


Fault = Callable[[Server, Path], AbstractContextManager[None]]


FAILS: dict[str, tuple[Fault, int]] = {
    "EMFILE": (no_descriptor, 0),
    "EAGAIN": (no_process, 11),
    "ENOMEM": (no_process, 12),
    "no-folder": (no_folder, 0),
}


async def _start_that_fails(site: Site, folder: Path, fault: Fault, number: int) -> None:
    (folder / "beats").mkdir()
    (folder / "sitecustomize.py").write_text(PATCH.format(flag=str(folder / "fails"), number=number))
    arguments = ["--worker-tmp-dir", str(folder / "beats")]
    with serving(site.name, arguments=arguments, **site.options) as server:
        killed, survivor = server.pids()
        with fault(server, folder):
            async with Load(server.address(1), [GET_OLD], kept=0, fresh=2, rate=50) as load:
                os.kill(killed, signal.SIGKILL)
                await until(lambda: server.logged("the next start is in 0.8 s"), HEAL_SECONDS)
            assert server.pids() == [survivor]
            server.signal(signal.SIGHUP)
            await until(lambda: server.logged("Reload refused"), HEAL_SECONDS)
        await until(lambda: tells(server), HEAL_SECONDS, "the worker that could not start")

        assert not load.report.lost
        assert server.status()["failed_starts"] >= 4
        assert (await server.reload())[0] == 0


FROZEN = ("all", "arbiter")
FROZEN_SECONDS = 7.0  # TIMEOUT is 5


async def _frozen_time(site: Site, who: str) -> None:
    with serving(site.name, **site.options) as server:
        workers = server.pids()
        frozen = [server.pid, *(workers if who == "all" else [])]
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(FROZEN_SECONDS)  # this is the fault itself
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
        with suppress(TimeoutError):
            await until(lambda: server.logged("WORKER TIMEOUT"), 4)

        assert server.pids() == workers
        assert server.logged("WORKER TIMEOUT") == 0
        os.kill(workers[0], signal.SIGSTOP)
        await until(lambda: workers[0] not in server.pids() and len(server.status()["serving"]) == 2, 20)
        assert workers[1] in server.pids()


async def _frozen_worker(site: Site) -> None:
    with serving(site.name, **site.options) as server:
        frozen, other = server.pids()
        os.kill(frozen, signal.SIGSTOP)
        await until(lambda: frozen not in server.pids() and len(server.status()["serving"]) == 2, 20)

        assert other in server.pids()
        assert server.logged("no sign of life for 5") == 1


DIES = {
    "exits": ("import os; os._exit(7)", "exit code 7"),
    "crashes": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
    "hangs": ("import time; time.sleep(60)", "is still there 4 s after it was told to stop"),
}


async def _unclean_ends(site: Site, statement: str, reason: str) -> None:
    site.write(
        source()
        .replace("print('shutdown has run', flush=True)", statement)
        .replace('print("shutdown has run", flush=True)', statement)
    )
    with serving(site.name, **site.options) as server:
        site.write(source(answer="new"))
        code, output = await server.reload()

        assert (code, output) == (0, f"2 workers replaced, 2 did not end cleanly: {reason}\n")
        assert server.status()["unclean_ends"] == 2
        assert server.status()["last_unclean_end"] == reason
        await until(lambda: server.logged(f"did not end cleanly: {reason}") >= 2, 5)  # it is logged a moment later
        assert (await server.reload())[1] == "2 workers replaced\n"


Checks = dict[str, "Future[None]"]


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> Checks:
    """Faults that take a time-out to be noticed, each with a server of its own."""

    def site() -> Site:
        return Site(tmp_path_factory.mktemp("site"))

    cases: dict[str, Callable[[], Coroutine[object, object, None]]] = {
        **{f"frozen {who}": partial(_frozen_time, site(), who) for who in FROZEN},
        "frozen worker": partial(_frozen_worker, site()),
        **{name: partial(_unclean_ends, site(), *kind) for name, kind in DIES.items()},
    }
    for name, kind in FAILS.items():
        folder = tmp_path_factory.mktemp("site")
        cases[name] = partial(_start_that_fails, Site(folder), folder, *kind)
    return coroutines_at_once(cases)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", FAILS)
def test_start_that_fails_in_the_arbiter(checks: Checks, name: str) -> None:
    """A worker that can't be started costs only its own place: the other serves, attempts get rarer, and it heals."""
    checks[name].result()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("who", FROZEN)
def test_frozen_time_counts_for_no_worker(checks: Checks, who: str) -> None:
    """After a stop of all processes, or of the arbiter alone, no worker is killed; one that hangs later still is."""
    checks[f"frozen {who}"].result()


@pytest.mark.timeout(120)
def test_frozen_worker_is_killed(checks: Checks) -> None:
    """A worker that is stopped alone is replaced after TIMEOUT."""
    checks["frozen worker"].result()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", DIES)
def test_unclean_ends_are_named(checks: Checks, name: str) -> None:
    """Workers that end uncleanly are counted in the reload's result, in the status and in the log."""
    checks[name].result()


async def test_number_of_workers_with_the_shared_address(site: Site, tmp_path: Path) -> None:
    """Without slots a reload applies another WEB_CONCURRENCY, up and down, and nothing is lost."""
    file = tmp_path / "settings.json"
    file.write_text("{}")
    port = free_ports()
    options = {**site.options, "SETTINGS_FILE": str(file), "GUNICORN_CMD_ARGS": f"--bind=127.0.0.1:{port}"}
    with serving(site.name, slots="shared", **options) as server:
        async with Load(("127.0.0.1", port), [GET_OLD], kept=2, fresh=2, rate=100) as load:
            for count in (4, 1, 2):
                file.write_text(f'{{"WEB_CONCURRENCY": "{count}"}}')
                assert (await server.reload())[0] == 0
                await until(lambda: len(server.pids()) == count == len(server.status()["serving"]), 10)  # noqa: B023

        assert not load.report.lost
