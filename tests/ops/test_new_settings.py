"""`make reload` after a change of `.env`, in a copy of the tree: it applies or is refused, and nothing is lost."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.ops import wait
from tests.harness.client import Address, request
from tests.harness.load import GET, Load
from tests.harness.processes import children, pause, short_folder
from tests.ops.conftest import Verbs
from tests.ops.copies import copy_tree


class Copy(Verbs):
    """A user's own copy, with all settings in its `.env`."""

    def __init__(self, folder: Path) -> None:
        for name in ("run", "tree"):
            (folder / name).mkdir()
        super().__init__(folder / "run", folder / "tree")
        copy_tree(self.root)
        self._fixed, self.settings = {**self.settings, "BENCH_ENDPOINTS": "1"}, {}

    def set(self, **variables: str) -> None:
        lines = [f"{name}={value}\n" for name, value in {**self._fixed, **variables}.items()]
        (self.root / ".env").write_text("".join(lines))

    def proxies(self) -> list[int]:
        """Return the pids of nginx's workers."""
        return children(int((self.folder / "nginx" / "nginx.pid").read_text()))

    def logged(self, text: str) -> int:
        return (self.folder / "log" / "app.log").read_text().count(text)


@pytest.fixture(scope="module")
def copy() -> Iterator[Copy]:
    """A running stack with its own body limit."""
    with short_folder() as folder:
        copy = Copy(folder)
        copy.set(MAX_BODY_BYTES="20000")
        up = copy("up")
        assert up.returncode == 0, up.stdout + up.stderr
        yield copy
        copy.set()
        copy("down")


async def limit_is(copy: Copy, size: int) -> bool:
    """Return whether a body of that size comes back, and one byte more is refused by nginx and by each worker."""
    addresses: list[Address] = [("127.0.0.1", copy.port)]
    addresses += [str(copy.folder / "app" / f"app-{slot}.sock") for slot in range(2)]
    statuses = [
        (await request(address, "POST", "/echo", b"x" * (size + more))).status
        for address in addresses
        for more in (0, 1)
    ]
    nginx = (copy.folder / "nginx" / "nginx.conf").read_text()
    return statuses == [200, 413] * 3 and f"client_max_body_size {size};" in nginx


async def test_new_values_are_in_force_and_nothing_is_lost(copy: Copy) -> None:
    """The app and nginx apply a new limit, and a setting removed from `.env` has its default again."""
    assert await limit_is(copy, 20_000)
    debug = copy.logged('"DEBUG"')

    async with Load(("127.0.0.1", copy.port), [GET], kept=0, fresh=4, rate=100) as load:
        copy.set(MAX_BODY_BYTES="40000", LOG_LEVEL="debug")
        done = await asyncio.to_thread(copy, "reload")
        assert done.returncode == 0, done.stderr
        assert await _soon(copy, 40_000)
        assert copy.logged('"DEBUG"') > debug
        copy.set()
        assert (await asyncio.to_thread(copy, "reload")).returncode == 0
        assert await _soon(copy, 1 << 20)

    assert load.report.total
    assert not load.report.lost


async def _soon(copy: Copy, size: int) -> bool:
    """Poll for the limit: nginx's new workers begin a moment after the signal."""
    async with asyncio.timeout(10):
        while not await limit_is(copy, size):
            await pause()
    return True


async def test_nginx_is_left_alone_when_nothing_is_new_for_it(copy: Copy) -> None:
    """nginx, whose reload cuts idle connections, is not reloaded for a setting of the app alone."""
    copy.set(KEEP_MESSAGES="5000")
    before = copy.proxies()

    assert copy("reload").returncode == 0
    assert {*copy.proxies()} <= {*before}  # those of an earlier reload may still be ending


async def test_caller_beats_the_file(copy: Copy) -> None:
    """A caller's variable overrides `.env`, stays where `.env` says nothing, and is removed by an empty one."""
    copy.set(MAX_BODY_BYTES="20000")
    assert copy("reload", MAX_BODY_BYTES="30000").returncode == 0
    assert await _soon(copy, 30_000)

    copy.set()
    assert copy("reload").returncode == 0
    assert await limit_is(copy, 30_000)
    copy.set(MAX_BODY_BYTES="20000")
    assert copy("reload").returncode == 0
    assert await _soon(copy, 20_000)
    assert copy("reload", MAX_BODY_BYTES="").returncode == 0
    assert await _soon(copy, 1 << 20)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("MAX_BODY_BYTES", "many", "a whole number from 1 to"),
        ("LOG_LEVEL", "loud", "one of debug, info"),
        ("KEEP_MESSAGES", "0", "a whole number from 1 to"),
        ("WEB_CONCURRENCY", "3", "2 until the server is started anew"),
        ("HTTP_PORT", "1", "until `make down` and `make up`"),
        ("APP", "app.main:simple_app", "app.main:application until `make deploy`"),
    ],
)
async def test_wrong_values_are_refused(copy: Copy, name: str, value: str, allowed: str) -> None:
    """The refusal names the variable, its value and what is allowed, and the old value is still in force."""
    copy.set(MAX_BODY_BYTES="20000")
    assert copy("reload").returncode == 0
    assert await _soon(copy, 20_000)

    copy.set(**{"MAX_BODY_BYTES": "25000", name: value})
    done = copy("reload")

    assert done.returncode != 0
    assert f"{name}='{value}' is not allowed: " in done.stderr
    assert allowed in done.stderr
    assert await limit_is(copy, 20_000)
    assert wait.get(f"{copy.url}/readyz")[0] == 200
