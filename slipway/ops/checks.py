"""The verbs that check and measure, `make test` among them: everything that they need is set up first."""

import os
import shlex
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

from slipway.ops import linters, packages, setup
from slipway.ops.console import Failure, say, step
from slipway.ops.rules import Rules
from slipway.ops.settings import ROOT, StackSettings
from slipway.serving.cpus import worker_count

EXTRAS = (
    "local",
    "otel",
    "loadtest",
    "test",
    "bench",
    "peers",
    "lock",
    "new",
)  # of pyproject.toml, each with a lock file
# What the tests start for real. Debian's names; on another system the last one to be missing is named.
PROGRAMS: dict[str, str | None] = {
    "nginx": "nginx",
    "postgresql": "/usr/lib/postgresql",
    "pgbouncer": "pgbouncer",
    "redis-server": "redis-server",
    "chromium": "chromium",
    "faketime": "faketime",
    "prometheus": "promtool",
    "valgrind": "valgrind",
    "wrk": "wrk",
}

NO_TESTS = 5  # pytest's exit code
# Tests wait for servers half of the time, so two processors have five at once; with more, a check of new code outlasts
# the short time-outs of tests. tests/harness/sharing.py says which stay together, and which start first.
PROCESSES = 5 * worker_count().workers // 2
SHARED_OUT = ("--dist=loadgroup", "--no-loadscope-reorder")
STACKS = 2  # of containers at a time


def main() -> None:
    """Run a verb; what comes after it goes to the program that it starts."""
    verb, *arguments = sys.argv[1:]
    if [verb, *arguments] == ["bench", "run"] or verb == "soak":  # they are shown on an app that does the bench's work
        StackSettings.load().project.twin()
    VERBS[verb](arguments)


def test(arguments: list[str]) -> None:
    """The checkers, then every test that takes no container and no minutes."""
    lint([])
    programs()
    # The few come first: their process leaves the tests compiled for all others.
    tests(arguments, ("-m", "alone and not suite"), (*together(arguments), "-m", "not alone and not suite"))


def suites(arguments: list[str]) -> None:
    """The tests that take minutes: suites of whole protocols, long walks."""
    prepare("requirements/test.txt")
    programs()
    tests(arguments, ("-m", "suite and alone"), (*together(arguments), "-m", "suite and not alone"))


def together(arguments: list[str]) -> tuple[str, ...]:
    """How tests are shared out; for a selection fewer processes, since each of them collects all tests first."""
    return f"--numprocesses={2 if arguments else PROCESSES}", *SHARED_OUT


def programs() -> None:
    """What the tests start. A project without the shipped app has left out the tests that start it."""
    # The verbs' own packages are among them already; said once here, no test has pip look for them.
    setup.environment(StackSettings.load().run_dir, "requirements/local.txt")
    if Rules.of().has_the_shipped_app:
        packages.install(PROGRAMS)


def tests(arguments: list[str], *selections: tuple[str, ...]) -> None:
    """Run the selections one after the other, without those that are empty; a `-m` of the caller's is the only one."""
    if "-m" in arguments:
        selections = ((),)
    ran = [run("pytest", "--ignore=tests/docker", *chosen, *arguments, empty=NO_TESTS) for chosen in selections]
    if not any(ran) and arguments:
        raise Failure(f"no test is selected by {' '.join(arguments)}", NO_TESTS)
    if not any(ran):
        say("  there are no tests")


def test_docker(arguments: list[str]) -> None:
    """The tests of the containers; PYTEST="-m suite" those that take minutes, such as a restart of the engine."""
    prepare("requirements/test.txt")
    chosen = () if "-m" in arguments else ("-m", "not suite")
    run("pytest", "tests/docker", f"--numprocesses={STACKS}", *SHARED_OUT, *chosen, *arguments)


def bench(arguments: list[str]) -> None:
    """The benchmark and its report."""
    prepare("requirements/bench.txt")
    packages.install({"nginx": "nginx", "wrk": "wrk"})
    run("bench", *arguments)


def bench_layers(arguments: list[str]) -> None:
    """The layers, with the frameworks to compare with."""
    prepare("requirements/peers.txt")
    packages.install({"nginx": "nginx", "wrk": "wrk"})
    run("bench.layers", *arguments)


def bench_fanout(arguments: list[str]) -> None:
    """One room of websocket clients, with the servers to compare with."""
    prepare("requirements/peers.txt")
    packages.install({"redis-server": "redis-server"})
    run("bench.fanout", *arguments)


def soak(arguments: list[str]) -> None:
    """The promises at full size."""
    prepare("requirements/test.txt")
    packages.install({**PROGRAMS, "wrk": "wrk"})
    run("tests.promises", *arguments)


def screenshots(arguments: list[str]) -> None:
    """The README's pictures."""
    prepare("requirements/test.txt")
    packages.install({"chromium": "chromium"})
    run("slipway.ops.screenshot", *arguments)


def lock(arguments: list[str]) -> None:
    """Compile every lock file anew; each further one agrees with the app's."""
    compile_locks(ROOT, arguments)


def compile_locks(root: Path, arguments: list[str]) -> None:
    """Compile the lock files of a tree, one for each of its extras, in this tree's environment."""
    uv = setup.environment(StackSettings.load().run_dir, "requirements/lock.txt") / "uv"
    fixed = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url", "--no-header"]
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"].get("optional-dependencies", {})
    (root / "requirements").mkdir(exist_ok=True)
    for name in ("app", *(extra for extra in EXTRAS if extra in extras)):
        extra = [] if name == "app" else ["--extra", name, "-c", "requirements/app.txt"]
        command = [str(uv), "pip", "compile", "-q", "pyproject.toml", *fixed, *extra, "-o", f"requirements/{name}.txt"]
        with step(f"requirements/{name}.txt"):
            if subprocess.run([*command, *arguments], cwd=root, stdin=subprocess.DEVNULL).returncode:
                raise Failure("uv could not resolve the dependencies; see above")


def new(arguments: list[str]) -> None:
    """A project of one's own from an example, with lock files and a first commit."""
    folder, example = (os.environ.get(name, "").strip() for name in ("DIR", "EXAMPLE"))
    if not folder:
        raise Failure("make new DIR=../name EXAMPLE=fastapi; examples/ has the examples")
    root = Path(folder).expanduser().absolute()
    prepare("requirements/new.txt")
    with step(str(root)):
        run("slipway.ops.new", "new", str(root), example or "starlette")
    tested = ["-c", str(ROOT / "requirements" / "test.txt")]  # the versions that the examples were tested with
    compile_locks(root, tested)
    run("slipway.ops.new", "commit", str(root), f"{root.name} from Slipway's example {example or 'starlette'}")
    say(f"\nNext: cd {shlex.quote(str(root))} && make up")


def upgrade(arguments: list[str]) -> None:
    """A later version of the template merged into a project that `make new` has made."""
    prepare("requirements/new.txt")
    before = (ROOT / "pyproject.toml").read_text()
    run("slipway.ops.new", "upgrade", *filter(None, [os.environ.get("VERSION", "").strip()]))
    if (ROOT / "pyproject.toml").read_text() != before:
        lock([])
    say("\nNext: look at `git diff`, `make test`, then commit")


def prepare(requirements: str) -> None:
    """The environment that a lock file names, first on the path."""
    venv = setup.environment(StackSettings.load().run_dir, requirements)
    os.environ["PATH"] = f"{venv}{os.pathsep}{os.environ['PATH']}{os.pathsep}/usr/sbin"


def lint(arguments: list[str]) -> None:
    """Every checker over every file that it knows, all of them before the first failure ends it."""
    prepare("requirements/test.txt")
    packages.install({"nginx": "nginx"})
    if failed := linters.failing():
        raise Failure(f"lint: {', '.join(failed)} found something")


def run(module: str, *arguments: str, empty: int = 0) -> bool:
    """Run a module of the environment; its exit code is ours, also after Ctrl-C, which reaches it too.

    False if it ended with the code that says there was nothing to do.
    """
    # not ignored, which the module would inherit; without this it would be killed 0.25 s after it was told to end
    signal.signal(signal.SIGINT, lambda number, frame: None)
    done = subprocess.run(["python", "-m", module, *arguments], cwd=ROOT, stdin=subprocess.DEVNULL)
    if done.returncode not in (0, empty):
        sys.exit(done.returncode)
    return done.returncode == 0


VERBS = {
    "bench": bench,
    "bench-fanout": bench_fanout,
    "bench-layers": bench_layers,
    "lint": lint,
    "lock": lock,
    "new": new,
    "screenshots": screenshots,
    "soak": soak,
    "suites": suites,
    "test": test,
    "test-docker": test_docker,
    "upgrade": upgrade,
}


if __name__ == "__main__":
    main()
