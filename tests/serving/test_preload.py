"""Which libraries the arbiter loads before the fork, which it leaves out, and that workers can share them."""

import gc
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.environment import SettingError
from slipway.ops.settings import ROOT
from slipway.serving.preload import Preloaded, preload
from slipway.serving.settings import ServerSettings

SECONDS = 30.0
LIBRARIES = {
    "lib_fine": "import json\nVALUE = 1",
    "lib_also_fine": "import lib_fine",
    "lib_thread": "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
    "lib_wants_thread": "import lib_thread",
    "lib_hides_thread": "try:\n    import lib_thread\nexcept ImportError:\n    pass",
    "lib_socket": "import socket\nS = socket.socketpair()",
    "lib_loop": "import asyncio\nL = asyncio.new_event_loop()",
    "lib_own": "import own_settings",
    "lib_fails": "raise RuntimeError('not here')",
}
FINE = {"lib_fine", "lib_also_fine"}
REASONS = {
    "lib_thread": "it starts a thread",
    "lib_wants_thread": "it imports lib_thread",
    "lib_hides_thread": "it imports lib_thread",
    "lib_socket": "it opens a socket",
    "lib_loop": "it opens a socket",
    "lib_own": "it imports own_settings, which is no library",
    "lib_fails": "it can't be imported by itself (RuntimeError: not here)",
}


@pytest.fixture
def site(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed libraries beside the project; modules loaded by the test are removed afterwards."""
    place = folder / "site-packages"
    place.mkdir()
    for name, text in LIBRARIES.items():
        (place / f"{name}.py").write_text(text)
    (folder / "own_settings.py").write_text("")
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.syspath_prepend(str(folder))
    before = {*sys.modules}
    yield place
    gc.unfreeze()
    for name in sys.modules.keys() - before:
        del sys.modules[name]


def app_that_imports(folder: Path, *names: str) -> str:
    lines = [f"try:\n    import {name}\nexcept RuntimeError:\n    pass" for name in names]
    (folder / "some_app.py").write_text("\n".join(lines))
    return "some_app"


def loaded(found: Preloaded) -> set[str]:
    """Return the shared libraries among those above; the test process itself has loaded many more."""
    return {*found.files} & {*LIBRARIES}


@pytest.mark.parametrize("name", REASONS)
def test_library_that_is_left_out(site: Path, name: str) -> None:
    """A library that can't survive a fork, fails, brings own code, or needs such a one is left out with a reason."""
    found = preload(["lib_fine", "lib_thread", name], "", SECONDS)

    assert found.left_out[name] == REASONS[name]
    assert name not in sys.modules
    assert loaded(found) == {"lib_fine"}


def test_auto_takes_what_the_app_imports(site: Path) -> None:
    """All suitable libraries of an app are loaded, and none of its own modules."""
    app = app_that_imports(site.parent, "own_settings", "lib_also_fine")
    found = preload(["auto"], app, SECONDS)

    assert loaded(found) == FINE
    assert found.left_out == {}
    assert not {"some_app", "own_settings"} & {*sys.modules}


def test_auto_leaves_trouble_out(site: Path) -> None:
    """The unsuitable libraries of an app are left out, each with its reason."""
    app = app_that_imports(site.parent, "lib_also_fine", "lib_wants_thread", "lib_socket")
    found = preload(["auto"], app, SECONDS)

    assert {*found.left_out} == {"lib_thread", "lib_wants_thread", "lib_socket"}
    assert loaded(found) == FINE
    assert not {*found.left_out} & {*sys.modules}


@pytest.mark.parametrize(
    "text", ["import nothing_of_this_name", "1 / 0", "raise SystemExit(3)", "import os; os._exit(1)"]
)
def test_app_that_fails(site: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    """An app that can't be imported does not end the start; its workers will report the reason."""
    (site.parent / "some_app.py").write_text(text)

    assert loaded(preload(["auto"], "some_app", SECONDS)) == set()
    assert "No library is loaded before the fork" in caplog.text


def test_app_that_hangs(site: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The trial of an app that hangs is bounded in time."""
    (site.parent / "some_app.py").write_text("import time; time.sleep(60)")

    assert loaded(preload(["auto"], "some_app", 0.5)) == set()
    assert "it has not ended within 0.2 s" in caplog.text


def test_off(site: Path) -> None:
    """With `off` nothing is loaded or tried."""
    found = preload(["off"], "nothing_of_this_name", SECONDS)

    assert loaded(found) == set()
    assert found.left_out == {}


def test_changed_packages_are_named(site: Path) -> None:
    """A library whose file has changed or is gone is named by its package."""
    found = preload(["lib_fine", "lib_also_fine"], "", SECONDS)
    assert found.changed() == []
    (site / "lib_fine.py").write_text("VALUE = 22")
    (site / "lib_also_fine.py").unlink()

    assert found.changed() == ["lib_also_fine", "lib_fine"]


@pytest.mark.parametrize("setting", ["off", "auto"])
def test_change_of_the_servers_own_library_is_named(site: Path, setting: str) -> None:
    """A library loaded before the trial stays loaded, so that its change is named, too."""
    importlib.import_module("lib_fine")
    found = preload([setting], app_that_imports(site.parent, "lib_fine"), SECONDS)
    (site / "lib_fine.py").write_text("VALUE = 22")

    assert found.changed() == ["lib_fine"]


@pytest.mark.parametrize("value", ["", "auto", "off", "sqlalchemy", "sqlalchemy, redis.asyncio"])
def test_setting(value: str) -> None:
    """The setting is `auto`, `off` or names."""
    wanted = [name.strip() for name in (value or "auto").split(",")]

    assert ServerSettings.from_environment({"PRELOAD": value}).preload == wanted


@pytest.mark.parametrize("value", ["a b", "sqlalchemy;redis", "redis/asyncio", ",", "on!"])
def test_wrong_setting(value: str) -> None:
    """Any other value is refused with the setting's name."""
    with pytest.raises(SettingError, match="PRELOAD"):
        ServerSettings.from_environment({"PRELOAD": value})


# Loads the imports of the shipped app and forks two workers, which use everything that could be shared by mistake.
TWO_WORKERS = """
import asyncio, json, logging, os, random, secrets, sys, threading, uuid
from slipway.serving.preload import preload
found = preload(["auto"], "app.main", 60)
shared = {name for name in ("sqlalchemy", "sqlalchemy.orm", "redis", "orjson", "psycopg") if name in sys.modules}
def worker(number):
    from sqlalchemy import make_url
    from app.migrate import migrate
    from app.services import users
    url = make_url(f"sqlite:///{sys.argv[1]}/{number}.db")
    migrate(url)
    async def main():
        store = users.open_users(url)
        made = await store.write(users.create, "ann")
        seen = await store.read(users.find, made.id)
        await store.close()
        return seen.name
    name = asyncio.run(main())
    logging.getLogger("app").warning("a log's lock is free")
    return [name, random.random(), str(uuid.uuid4()), secrets.token_hex(8), threading.active_count()]
replies = []
for number in range(2):
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.write(writer, json.dumps(worker(number)).encode())
        os._exit(0)
    os.close(writer)
    replies.append(json.loads(os.fdopen(reader).read()))
print(json.dumps({"left_out": found.left_out, "shared": sorted(shared), "replies": replies}))
"""


@pytest.mark.parametrize(
    ("settings", "needed"),
    [
        ({}, set()),
        ({"BUS_URL": "redis://127.0.0.1"}, {"redis"}),
        ({"DATABASE_URL": "postgresql://127.0.0.1/slipway"}, {"psycopg", "sqlalchemy.orm"}),
    ],
    ids=["embedded", "redis", "postgresql"],
)
def test_libraries_of_the_shipped_app_outlive_a_fork(folder: Path, settings: dict[str, str], needed: set[str]) -> None:
    """Two workers share the libraries that they need, but have their own connections, locks and random numbers."""
    environment = {**os.environ, "BUS_URL": "embedded", "DATA_DIR": str(folder), **settings}
    command = [sys.executable, "-c", TWO_WORKERS, str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=50)
    found = json.loads(done.stdout)
    one, other = found["replies"]

    assert found["left_out"] == {}
    assert {*found["shared"]} == {"orjson", "sqlalchemy"} | needed
    assert (one[0], other[0]) == ("ann", "ann")
    assert not {*one[1:4]} & {*other[1:4]}
    assert one[4] == other[4] == 1


def test_tries_are_bounded_together(site: Path) -> None:
    """The trials of many failing libraries take at most half of TIMEOUT together, and do not end the start."""
    names = [f"lib_slow_{number}" for number in range(12)]
    for name in names:
        (site / f"{name}.py").write_text("import time\ntime.sleep(0.5)\nraise RuntimeError('not here')")
    began = time.monotonic()
    found = preload(names, "some_app", 4.0)

    assert not {*names} & {*found.files}
    assert time.monotonic() - began < 4.0
