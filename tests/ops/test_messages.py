"""The messages of verbs that fail: each once, whole, with the next step."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from slipway.ops import wait
from slipway.ops.console import NOTHING_RUNS
from tests.harness.at_once import at_once
from tests.harness.processes import short_folder
from tests.live import sites
from tests.live.sites import source
from tests.ops.conftest import Verbs
from tests.ops.copies import copy_tree

IMPORTS = "import no_such_package\n" + source()
SYNTAX = source() + "\ndef broken(:\n    pass\n"
RAISES = source() + "\nraise RuntimeError('raised at import')\n"
DEEP = source() + "\nimport json\n\n\ndef read():\n    return json.loads('{')\n\n\nread()\n"
LIFESPAN = source(startup=sites.RAISES_IN_STARTUP)
STARLETTE = source(
    startup="import traceback\n        try:\n            1 / 0\n        except ZeroDivisionError:\n            "
    "await send({'type': 'lifespan.startup.failed', 'message': traceback.format_exc()}); return"
)
FAILS = source(startup=sites.FAILS_IN_STARTUP)

# The content of the file, the message about it, and the line that is named (0: none can be).
BROKEN = [
    (IMPORTS, "ModuleNotFoundError: No module named 'no_such_package'", 1),
    (SYNTAX, "SyntaxError: invalid syntax", SYNTAX[: SYNTAX.index("def broken")].count("\n") + 1),
    (RAISES, "RuntimeError: raised at import", RAISES.count("\n")),
    (DEEP, "JSONDecodeError: Expecting property name", DEEP[: DEEP.index("    return json")].count("\n") + 1),
    (LIFESPAN, "RuntimeError: raised on purpose", LIFESPAN[: LIFESPAN.index("raise")].count("\n") + 1),
    (STARLETTE, "ZeroDivisionError: division by zero", STARLETTE[: STARLETTE.index("1 / 0")].count("\n") + 1),
    (FAILS, "failed on purpose", 0),
]


class Yours(Verbs):
    """A stack that serves an app of the reader's own."""

    def __init__(self, folder: Path) -> None:
        (folder / "run").mkdir()
        super().__init__(folder / "run")
        self.path = folder / "yours.py"
        self.settings |= {
            "APP": "yours:application",
            "PYTHONPATH": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            **sites.SHORT,
        }
        self.write(source())

    def write(self, text: str) -> None:
        self.path.write_text(text)


@pytest.fixture
def yours() -> Iterator[Yours]:
    with short_folder() as folder:
        verbs = Yours(folder)
        yield verbs
        verbs("down")


@pytest.fixture(scope="module")
def serving() -> Iterator[Yours]:
    """A running stack, for tests that do not change what it serves."""
    with short_folder() as folder:
        verbs = Yours(folder)
        up = verbs("up")
        assert up.returncode == 0, up.stdout + up.stderr
        yield verbs
        verbs("down")


def check(stderr: str, path: Path, said: str, line: int) -> None:
    """Check that the message is printed once, with file and line, and without a traceback."""
    assert stderr.count(said) == 1, stderr
    assert (f"({path}, line {line})" in stderr) == bool(line), stderr
    assert "Traceback" not in stderr


@pytest.mark.parametrize(("text", "said", "line"), BROKEN)
def test_app_that_does_not_start(yours: Yours, text: str, said: str, line: int) -> None:
    """`make up` names the error, its place and the next step; nothing is left running."""
    yours.write(text)
    up = yours.module("up")

    assert up.returncode == 1
    check(up.stderr, yours.path, said, line)
    assert "then type the same again" in up.stderr
    assert f"{yours.folder}/log/app.log" in up.stderr
    assert yours.pids() == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize("verb", ["reload", "deploy"])
@pytest.mark.parametrize(("text", "said", "line"), BROKEN)
def test_new_code_that_does_not_start(serving: Yours, verb: str, text: str, said: str, line: int) -> None:
    """The refusal of new code names error and place, too, and the old code keeps serving."""
    serving.write(text)
    done = serving.module(verb)

    assert done.returncode == 1
    check(done.stderr, serving.path, said, line)
    assert wait.get(f"{serving.url}/") == (200, "old")


@dataclass(frozen=True)
class Done:
    """The result of a verb, and the processes that are left of its stack."""

    code: int
    stderr: str
    seconds: float
    url: str
    path: Path
    left: list[int]


def _done(verbs: Yours, text: str, verb: str = "up", **settings: str) -> Done:
    """Run a verb on other code."""
    verbs.write(text)
    start = time.monotonic()
    done = verbs.module(verb, **settings)
    return Done(done.returncode, done.stderr, time.monotonic() - start, verbs.url, verbs.path, verbs.pids())


def _up(text: str, **settings: str) -> Done:
    """Start a stack, and stop it afterwards if it runs."""
    with short_folder() as folder:
        verbs = Yours(folder)
        try:
            return _done(verbs, text, **settings)
        finally:
            verbs("down")


IMPORT_HANGS = "import time\ntime.sleep(3600)\n" + source()
HANGS = {
    "waits in startup": (source(startup=sites.HANGS_IN_STARTUP), 5),
    "blocks in startup": (source(startup=sites.BLOCKS_IN_STARTUP), 5),
    "sleeps at import": (IMPORT_HANGS, 2),
    "loops at import": ("while True:\n    pass\n" + source(), 1),
}


@pytest.fixture(scope="module")
def hanging_starts() -> dict[str, "Future[Done]"]:
    """The results of `make up` with each, all at once: each waits until TIMEOUT."""
    return at_once({name: partial(_up, text) for name, (text, _) in HANGS.items()})


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", HANGS)
def test_app_that_hangs(hanging_starts: dict[str, "Future[Done]"], name: str) -> None:
    """A hanging app is given the time of TIMEOUT, which the message names beside the place where it stands."""
    line, up = HANGS[name][1], hanging_starts[name].result()

    assert up.code == 1
    assert 4 <= up.seconds < 30
    assert "TIMEOUT" in up.stderr, up.stderr
    assert f"stands at ({up.path}, line " in up.stderr, up.stderr
    assert re.search(rf"line [{line}-{line + 1}]\)", up.stderr)  # a loop alternates between two lines
    assert "Traceback" not in up.stderr


@pytest.mark.timeout(120)
@pytest.mark.parametrize("verb", ["reload", "deploy"])
@pytest.mark.parametrize("name", ["blocks in startup", "sleeps at import"])
def test_new_code_that_hangs(serving: Yours, verb: str, name: str) -> None:
    """The refusal names the place, too, and the old code keeps serving."""
    text, line = HANGS[name]
    done = _done(serving, text, verb)  # one by one: a check of new code has the lowest priority, and TIMEOUT is short

    assert done.code == 1
    assert "TIMEOUT" in done.stderr
    assert f"stands at ({done.path}, line {line})" in done.stderr, done.stderr
    assert wait.get(f"{done.url}/") == (200, "old")


@pytest.mark.parametrize(
    ("app", "said"),
    [
        ("no_such_module:application", "`app` in [tool.slipway], or APP, names what is served"),
        ("yours:nothing", "Failed to find attribute 'nothing' in 'yours'"),
    ],
)
def test_app_that_is_not_there(yours: Yours, app: str, said: str) -> None:
    """For an app that can't be found, the message names the setting for it."""
    up = yours.module("up", APP=app)

    assert up.returncode == 1
    assert f"{app} does not start: " in up.stderr
    assert said in up.stderr
    assert yours.pids() == []


STATUS = 'await send({{"type": "http.response.start", "status": {}, "headers": []}}); ' + (
    'await send({{"type": "http.response.body", "body": b"no"}}); return'
)
HOSTS = "if dict(scope['headers']).get(b'host') != b'example.com':\n        " + STATUS.format(400)


CONSTANT = {
    "404": (STATUS.format(404), "READY_PATH"),
    "401": (STATUS.format(401), "READY_PATH"),
    "400": (HOSTS, "READY_HOST"),
}


@pytest.fixture(scope="module")
def constant_refusals() -> dict[str, "Future[Done]"]:
    """The results of `make up` with each."""
    cases = {
        name: partial(_up, source(body=body), READY_PATH="/ready", TIMEOUT="60") for name, (body, _) in CONSTANT.items()
    }
    return at_once(cases)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", CONSTANT)
def test_constant_refusal_of_the_check(constant_refusals: dict[str, "Future[Done]"], name: str) -> None:
    """An answer that will not change by itself is reported within seconds, with the setting that helps."""
    up = constant_refusals[name].result()

    assert up.code == 1
    assert up.seconds < 30
    assert f"{up.url}/ready answers {name}" in up.stderr
    assert CONSTANT[name][1] in up.stderr
    assert up.left == []


def test_allowed_hosts_and_no_ready_path(yours: Yours) -> None:
    """READY_HOST is sent; without a ready path any answer below 500 counts, a 404 too."""
    yours.write(source(body=HOSTS))
    assert yours.module("up", READY_PATH="/ready", READY_HOST="example.com").returncode == 0
    assert yours.module("status").returncode == 0
    assert yours("down").returncode == 0
    yours.write(source(body=STATUS.format(404)))

    assert yours.module("up").returncode == 0


@pytest.mark.parametrize("verb", ["status", "logs", "reload", "deploy"])
def test_nothing_runs(make: Verbs, verb: str) -> None:
    """Where nothing runs, a verb prints one line and exits with code 3."""
    done = make.module(verb)

    assert done.returncode == NOTHING_RUNS
    assert "`make up` starts it" in done.stderr
    assert done.stderr.count("\n") == 1


def test_logs_after_down(make: Verbs) -> None:
    """After `make down` the folder of earlier logs is named, and the logs are not followed for ever."""
    (make.folder / "log").mkdir()
    (make.folder / "log" / "app.log").write_text("old\n")
    done = make.module("logs")

    assert done.returncode == NOTHING_RUNS
    assert f"the logs of before lie in {make.folder}/log" in done.stderr


WRONG = [
    "HTTP_PORT=many\n",
    "STOP_GRACE_PERIOD=long\nTIMEOUT=1\n",
    "APP=nothing\n",
    "PASSWORD='never closed\n",
    "A B=1\n",
    "RUNTIME=localhost\n",
]


@pytest.mark.timeout(120)
def test_wrong_settings_keep_no_stack_from_being_seen_and_stopped() -> None:
    """Status and down report what is wrong in `.env` and pyproject.toml, and work; up is refused."""
    with short_folder() as folder:
        (folder / "run").mkdir()
        copy_tree(folder / "tree")
        make = Verbs(folder / "run", folder / "tree")
        del make.settings["HTTP_PORT"], make.settings["RUNTIME"]
        dotenv = folder / "tree" / ".env"
        dotenv.write_text(f"RUNTIME=local\nHTTP_PORT={make.port}\n")
        try:
            assert make("up").returncode == 0
            for text in WRONG:
                dotenv.write_text(text)
                assert make.module("up").returncode == 1
                status = make.module("status")
                assert "ignored here" in status.stdout
                assert f"{make.url}/readyz: 200" in status.stdout
                assert status.returncode == 0
            with (folder / "tree" / "pyproject.toml").open("a") as project:
                project.write("not toml")
            down = make.module("down")
            assert down.returncode == 0, down.stderr
            assert "pyproject.toml" in down.stdout
            assert make.pids() == []
        finally:
            make.module("down", RUNTIME="local")


def test_misspelt_name_is_told(make: Verbs, tmp_path: Path) -> None:
    """`up` notes a misspelt setting, but no variable of the reader's own."""
    copy_tree(tmp_path / "tree")
    (tmp_path / "tree" / ".env").write_text("WEB_CONCURENCY=1\nMY_OWN=1\n")
    make.root = tmp_path / "tree"
    up = make("up")

    assert up.returncode == 0, up.stdout + up.stderr
    assert "WEB_CONCURENCY in .env is no setting; is WEB_CONCURRENCY meant?" in up.stdout
    assert "MY_OWN" not in up.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise ValueError('on purpose')\n", "ValueError: on purpose (prepare.py, line 1)"),
        ("def broken(:\n", "SyntaxError: invalid syntax (prepare.py, line 1)"),
        ("import sys\nsys.exit('the database is away')\n", "the database is away"),
    ],
)
def test_prestart_that_fails(yours: Yours, text: str, said: str) -> None:
    """An error in PRESTART is reported in the same way."""
    program = yours.folder / "prepare.py"
    program.write_text(text)
    up = yours.module("up", PRESTART=f"python {program}")

    assert up.returncode == 1
    assert up.stderr.count(said.replace("prepare.py", str(program))) == 1, up.stderr
    assert "Traceback" not in up.stderr
