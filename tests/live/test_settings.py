"""A reload applies new settings like new code: with nothing lost, or not at all."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.serving.variables import write
from tests.harness.client import request
from tests.harness.load import Load
from tests.harness.stack import Server, serving
from tests.live.sites import Site, source
from tests.promises.scenarios import kill_one

IN_FORCE = {"MAX_BODY_BYTES": "20000"}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file from which a server reads its settings."""
    return tmp_path_factory.mktemp("settings") / "settings.json"


@pytest.fixture(scope="module")
def server(file: Path) -> Iterator[Server]:
    """A server that was started with other settings than those in the file."""
    write(file, IN_FORCE)
    with serving(SETTINGS_FILE=str(file), MAX_BODY_BYTES="40000") as started:
        yield started


def says(file: Path) -> dict[str, str]:
    variables: dict[str, str] = json.loads(file.read_text())
    return variables


async def limit_is(server: Server, size: int) -> bool:
    """Return whether every worker accepts a body of that size, and none of one byte more."""
    statuses = [
        (await request(server.address(slot), "POST", "/echo", b"x" * (size + more))).status
        for slot in range(server.workers)
        for more in (0, 1)
    ]
    return statuses == [200, 413] * server.workers


async def test_reload_takes_new_settings(server: Server, file: Path) -> None:
    """The file overrides the environment; a setting removed from it is as at the start again, and nothing is lost."""
    assert await limit_is(server, 20_000)

    async with Load(server.address(), kept=4, fresh=4, rate=200) as load:
        for variables, size in [({"MAX_BODY_BYTES": "30000"}, 30_000), ({}, 40_000), (IN_FORCE, 20_000)]:
            write(file, variables)
            assert (await server.reload())[0] == 0
            assert await limit_is(server, size)

    assert load.report.total
    assert not load.report.lost


NEEDS_A_START = "until the server is started anew"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("WEB_CONCURRENCY", "3", f"WEB_CONCURRENCY='3' is not allowed: 2 {NEEDS_A_START}"),
        ("SOCKET_DIR", "/tmp/elsewhere", "SOCKET_DIR='/tmp/elsewhere' is not allowed: "),
        ("INSTANCE", "other", f"INSTANCE='other' is not allowed: app {NEEDS_A_START}"),
        ("SLOT_PORT", "9000", f"SLOT_PORT='9000' is not allowed: 0 {NEEDS_A_START}"),
        ("STOP_GRACE_PERIOD", "60", f"STOP_GRACE_PERIOD='60' is not allowed: 20 {NEEDS_A_START}"),
        ("LOG_LEVEL", "loud", "LOG_LEVEL='loud' is not allowed: one of debug, info"),
        ("TIMEOUT", "8", "TIMEOUT='8' is not allowed: more than GRACEFUL_TIMEOUT, which is 8"),
        ("MAX_BODY_BYTES", "0", "MAX_BODY_BYTES='0' is not allowed: a whole number from 1 to"),
        ("OWN", "\0", "can't be started: embedded null byte"),
        ("PRESTART", "python -c 'import sys; sys.exit(sys.argv[1])' no", "no (exit code 1)"),
        ("PRESTART", "sh -c 'exit", "No closing quotation"),
        ("PRESTART", "''", "the name of a program"),
        ("PRESTART", "no-such-program", "no-such-program is not a program on PATH"),
        ("PRESTART", "/etc/passwd", "/etc/passwd is not a file that can be executed"),
        ("READY_PATH", "readyz", "READY_PATH='readyz' is not allowed: a path such as /readyz"),
    ],
)
async def test_wrong_settings_are_refused(server: Server, file: Path, name: str, value: str, said: str) -> None:
    """A wrong setting, or one that needs a start, is refused with its value and the allowed ones; nothing changes."""
    before = server.pids()
    write(file, {**IN_FORCE, name: value})
    code, output = await server.reload()

    assert code == 1
    assert said in output
    assert server.pids() == before
    assert await limit_is(server, 20_000)
    assert says(file) == IN_FORCE


async def test_a_file_that_is_none_is_refused(server: Server, file: Path) -> None:
    """An invalid file is replaced by the settings in force, which the next start will read."""
    shutil.copyfile(__file__, file)
    code, output = await server.reload()

    assert code == 1
    assert f"SETTINGS_FILE='{file}' is not allowed" in output
    assert says(file) == IN_FORCE


async def test_later_workers_have_what_is_in_force(site: Site, file: Path) -> None:
    """Settings with which a worker does not start are refused, and the successor of a killed one has the old ones."""
    site.write(source(startup="import os; assert os.environ['OWN'] == 'right', 'wrong on purpose'"))
    write(file, {"OWN": "right"})
    with serving(site.name, SETTINGS_FILE=str(file), **site.options) as server:
        write(file, {"OWN": "wrong"})
        code, output = await server.reload()

        assert code == 1
        assert "wrong on purpose" in output
        failed = server.status()["failed_starts"]
        await kill_one(server)
        assert server.status()["failed_starts"] == failed
        successors = set(server.pids())
        server.stop()
        said = [record for record in server.records() if "wrong on purpose" in str(record)]
        assert successors.isdisjoint(record["pid"] for record in said)
