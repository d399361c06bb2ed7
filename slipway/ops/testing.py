"""`make lint`, `make test`, `make suites` and `make test-docker`: the checkers, and which tests run how."""

import os

from slipway.ops import linters, packages, setup
from slipway.ops.console import Failure, say
from slipway.ops.rules import Rules
from slipway.ops.settings import StackSettings
from slipway.ops.tools import prepare, run
from slipway.serving.cpus import worker_count

# What the tests start for real. Debian's names; on another system the last one to be missing is named.
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
# Tests wait for servers half of the time, so two processors have five at once; with more, a check of new code outlasts
# the short time-outs of tests. tests/harness/sharing.py says which stay together, and which start first.
PROCESSES = 5 * worker_count().workers // 2
SHARED_OUT = ("--dist=loadgroup", "--no-loadscope-reorder")
STACKS = 2  # of containers at a time


def lint(arguments: list[str]) -> None:
    """Every checker over every file that it knows, all of them before the first failure ends it."""
    prepare("requirements/test.txt")
    packages.install({"nginx": "nginx"})
    if failed := linters.failing():
        raise Failure(f"lint: {', '.join(failed)} found something")


def test(arguments: list[str]) -> None:
    """The checkers, then every test that takes no container and no minutes."""
    lint([])
    programs()
    if has_files(arguments):
        tests(arguments, ("-m", "not suite"))
        return
    # The few come first: their process leaves the tests compiled for all others.
    tests(arguments, ("-m", "alone and not suite"), (*together(arguments), "-m", "not alone and not suite"))


def suites(arguments: list[str]) -> None:
    """The tests that take minutes: suites of whole protocols, long walks."""
    prepare("requirements/test.txt")
    programs()
    tests(arguments, ("-m", "suite and alone"), (*together(arguments), "-m", "suite and not alone"))


def test_docker(arguments: list[str]) -> None:
    """The tests of the containers; PYTEST="-m suite" those that take minutes, such as a restart of the engine."""
    prepare("requirements/test.txt")
    beside = (f"--numprocesses={STACKS}", *SHARED_OUT)
    if "-m" in arguments:
        run("pytest", DOCKER, *beside, *arguments)
        return
    run_each(arguments, (DOCKER, "-m", "alone and not suite"), (DOCKER, *beside, "-m", "not alone and not suite"))


def has_files(arguments: list[str]) -> bool:
    """Whether files are selected: one process, in which nothing runs beside another test, then takes least time."""
    return any(".py" in word for word in arguments)


def together(arguments: list[str]) -> tuple[str, ...]:
    """How tests are shared out; for a selection fewer processes, since each of them collects all tests first."""
    return f"--numprocesses={2 if arguments else PROCESSES}", *SHARED_OUT


def programs() -> None:
    """What the tests start. A project without the shipped app has left out the tests that start it."""
    # Else each process that a test starts compiles all that it imports anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # The verbs' own packages are among them already; said once here, no test has pip look for them.
    setup.environment(StackSettings.load().run_dir, "requirements/local.txt")
    if Rules.of().has_the_shipped_app:
        packages.install(PROGRAMS)


def tests(arguments: list[str], *selections: tuple[str, ...]) -> None:
    """Run what needs no container; a `-m` of the caller's is the only selection."""
    if "-m" in arguments:
        selections = ((),)
    run_each(arguments, *((f"--ignore={DOCKER}", *chosen) for chosen in selections))


def run_each(arguments: list[str], *selections: tuple[str, ...]) -> None:
    """Run the selections one after the other, without those that are empty."""
    ran = [run("pytest", *chosen, *arguments, empty=NO_TESTS) for chosen in selections]
    if not any(ran) and arguments:
        raise Failure(f"no test is selected by {' '.join(arguments)}", NO_TESTS)
    if not any(ran):
        say("  there are no tests")
