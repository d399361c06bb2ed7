"""`make lint`, `make test`, `make suites` and `make test-docker`: linters, and the selection of tests."""

import os

from slipway.ops import linters, packages, setup
from slipway.ops.console import Failure, say
from slipway.ops.rules import Rules
from slipway.ops.settings import StackSettings
from slipway.ops.tools import prepare, run
from slipway.serving.cpus import worker_count

# The programs that tests start, by Debian's package; on other systems a message names the missing ones.
PROGRAMS: dict[str, str | None] = {
    "nginx": "nginx",
    packages.HEADERS_MORE: "/usr/lib/nginx/modules/ngx_http_headers_more_filter_module.so",
    "postgresql": "/usr/lib/postgresql",
    "pgbouncer": "pgbouncer",
    "redis-server": "redis-server",
    "chromium": "chromium",
    "faketime": "faketime",
    "pebble": "pebble",
    "prometheus": "promtool",
    "valgrind": "valgrind",
    "wrk": "wrk",
}

DOCKER = "tests/docker"
NO_TESTS = 5  # pytest's exit code
# Tests wait for servers half of the time, so two CPUs run five at once; with more, a check of new code exceeds the
# short time-outs of tests. tests/harness/sharing.py says which stay in one process, and which start first.
PROCESSES = 5 * worker_count().workers // 2
SHARED_OUT = ("--dist=loadgroup", "--no-loadscope-reorder")
STACKS = 2  # in containers at the same time


def lint(arguments: list[str]) -> None:
    """Run all linters over their files, then raise Failure if any of them found something."""
    prepare("requirements/test.txt")
    packages.install({"nginx": "nginx"})
    if failed := linters.failing():
        raise Failure(f"lint: {', '.join(failed)} found something")


def test(arguments: list[str]) -> None:
    """Run the linters, then every test that takes neither a container nor minutes."""
    lint([])
    programs()
    if has_files(arguments):
        tests(arguments, ("-m", "not suite"))
        return
    # The few that run alone come first: their process compiles the tests' bytecode for the others.
    tests(arguments, ("-m", "alone and not suite"), (*together(arguments), "-m", "not alone and not suite"))


def suites(arguments: list[str]) -> None:
    """Run the tests that take minutes: suites of whole protocols, long walks."""
    prepare("requirements/test.txt")
    programs()
    tests(arguments, ("-m", "suite and alone"), (*together(arguments), "-m", "suite and not alone"))


def test_docker(arguments: list[str]) -> None:
    """Run the tests of the containers; PYTEST="-m suite" selects those of minutes, such as a restart of the engine."""
    prepare("requirements/test.txt")
    beside = (f"--numprocesses={STACKS}", *SHARED_OUT)
    if "-m" in arguments:
        run("pytest", DOCKER, *beside, *arguments)
        return
    run_each(arguments, (DOCKER, "-m", "alone and not suite"), (DOCKER, *beside, "-m", "not alone and not suite"))


def has_files(arguments: list[str]) -> bool:
    """Whether files are selected: one process that runs one test at a time is then fastest."""
    return any(".py" in word for word in arguments)


def together(arguments: list[str]) -> tuple[str, ...]:
    """Return pytest-xdist's options; a selection gets fewer processes, since each of them collects all tests first."""
    return f"--numprocesses={2 if arguments else PROCESSES}", *SHARED_OUT


def programs() -> None:
    """Install the programs that tests start; a project without the shipped app has no tests that need them."""
    # Otherwise each process of a test would compile every module that it imports.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # The test environment has the verbs' packages already; with the stamp that this writes no test runs pip for them.
    setup.environment(StackSettings.load().run_dir, "requirements/local.txt")
    if Rules.of().has_the_shipped_app:
        packages.install(PROGRAMS)


def tests(arguments: list[str], *selections: tuple[str, ...]) -> None:
    """Run tests outside tests/docker; a `-m` of the caller replaces the selections."""
    if "-m" in arguments:
        selections = ((),)
    run_each(arguments, *((f"--ignore={DOCKER}", *chosen) for chosen in selections))


def run_each(arguments: list[str], *selections: tuple[str, ...]) -> None:
    """Run the selections one after the other; raise Failure if the caller's arguments select no test at all."""
    ran = [run("pytest", *chosen, *arguments, empty=NO_TESTS) for chosen in selections]
    if not any(ran) and arguments:
        raise Failure(f"no test is selected by {' '.join(arguments)}", NO_TESTS)
    if not any(ran):
        say("  there are no tests")
