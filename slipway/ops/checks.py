"""The verbs that check and measure, `make test` among them: everything that they need is set up first."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from slipway.ops import nginx, packages, setup
from slipway.ops.report import Failure, say, step
from slipway.ops.settings import ROOT, Settings

PYTHON = ["app", "bench", "loadtest", "slipway", "tests", "gunicorn.conf.py"]
EXTRAS = ("local", "loadtest", "test", "bench", "peers", "lock")  # of pyproject.toml, each with a lock file
# What the tests start for real. Debian's names; on another system the last one to be missing is named.
PROGRAMS: dict[str, str | None] = {
    "nginx": "nginx",
    "postgresql": "/usr/lib/postgresql",
    "pgbouncer": "pgbouncer",
    "redis-server": "redis-server",
    "chromium": "chromium",
    "faketime": "faketime",
    "wrk": "wrk",
}

# The app needs the client's own Host, port included, to tell its own pages from foreign ones (the docker runtime maps
# ports, so $host:$server_port is another one); and the limit of open files is set by who starts nginx, since a
# container and a user may have less than any number that the file could name.
GIXY_SKIPS = ("host_spoofing", "worker_rlimit_nofile_vs_connections")


def main() -> None:
    """Run a verb; what comes after it goes to the program that it starts."""
    verb, *arguments = sys.argv[1:]
    if [verb, *arguments] == ["bench", "run"] or verb == "soak":  # they are shown on an app that does the bench's work
        Settings.load().project.twin()
    VERBS[verb](arguments)


def test(arguments: list[str]) -> None:
    """The checkers, then every test that needs no container."""
    lint([])
    packages.install(PROGRAMS)
    local = ("--ignore=tests/docker", *arguments)
    run("pytest", "--numprocesses=2", "--dist=loadfile", "-m", "not alone", *local)
    run("pytest", "-m", "alone", *local)


def test_docker(arguments: list[str]) -> None:
    """The tests of the containers."""
    prepare("requirements/test.txt")
    run("pytest", "tests/docker", *arguments)


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


def soak(arguments: list[str]) -> None:
    """The guarantees at full size."""
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
    uv = setup.environment(Settings.load().run_dir, "requirements/lock.txt") / "uv"
    fixed = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url", "--no-header"]
    for name in ("app", *EXTRAS):
        extra = [] if name == "app" else ["--extra", name, "-c", "requirements/app.txt"]
        command = [str(uv), "pip", "compile", "-q", "pyproject.toml", *fixed, *extra, "-o", f"requirements/{name}.txt"]
        with step(f"requirements/{name}.txt"):
            if subprocess.run([*command, *arguments], cwd=ROOT, stdin=subprocess.DEVNULL).returncode:
                raise Failure("uv could not resolve the dependencies; see above")


def prepare(requirements: str) -> None:
    """The environment that a lock file names, first on the path."""
    venv = setup.environment(Settings.load().run_dir, requirements)
    os.environ["PATH"] = f"{venv}{os.pathsep}{os.environ['PATH']}{os.pathsep}/usr/sbin"


def lint(arguments: list[str]) -> None:
    """Every checker over every file that it knows, all of them before the first failure ends it."""
    prepare("requirements/test.txt")
    packages.install({"nginx": "nginx"})
    python = [name for name in PYTHON if (ROOT / name).exists()]
    with tempfile.TemporaryDirectory() as folder:
        rendered = Path(folder) / "nginx.conf"
        command = nginx.prepare(Path(folder), listen="8080", socket_dir=Path(folder, "sockets"), max_body_bytes=1 << 20)
        checks = [
            ["ruff", "check", "--quiet"],
            ["ruff", "format", "--check", "--quiet"],
            ["mypy", *(name for name in python if name != "gunicorn.conf.py"), "gunicorn.conf.py"],
            ["shellcheck", ".ci/run", *map(str, sorted(nginx.NGINX_DIR.glob("*.sh")))],
            ["hadolint", "Dockerfile"],
            [*command, "-t", "-q"],
            ["gixy", "--skips", ",".join(GIXY_SKIPS), str(rendered)],
            ["zizmor", "--offline", "--quiet", ".github/workflows"],
            ["check-jsonschema", "--builtin-schema", "vendor.github-workflows", ".github/workflows/ci.yml"],
            ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"],
        ]
        failed = [check[0] for check in checks if not _passes(check)]
    if failed:
        raise Failure(f"lint: {', '.join(failed)} found something")


def run(module: str, *arguments: str) -> None:
    """Run a module of the environment; its exit code is ours, also after Ctrl-C, which reaches it too."""
    # not ignored, which the module would inherit; without this it would be killed 0.25 s after it was told to end
    signal.signal(signal.SIGINT, lambda number, frame: None)
    done = subprocess.run(["python", "-m", module, *arguments], cwd=ROOT, stdin=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(done.returncode)


def _passes(command: list[str]) -> bool:
    start = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    say(f"  {'ok  ' if done.returncode == 0 else 'FAIL'} {Path(command[0]).name:18} {time.monotonic() - start:4.1f} s")
    if done.returncode:
        say(done.stdout + done.stderr)
    return done.returncode == 0


VERBS = {
    "bench": bench,
    "bench-layers": bench_layers,
    "lint": lint,
    "lock": lock,
    "screenshots": screenshots,
    "soak": soak,
    "test": test,
    "test-docker": test_docker,
}


if __name__ == "__main__":
    main()
