"""The development verbs, such as `make test`, `make bench` and `make lock`; each first installs what it needs."""

import sys

from slipway.ops import locks, packages, projects, testing
from slipway.ops.settings import StackSettings
from slipway.ops.tools import prepare, run


def main() -> None:
    """Run a verb; the remaining arguments go to the program that it starts."""
    verb, *arguments = sys.argv[1:]
    if verb == "soak":  # needs an app with the bench's endpoints and its WSGI twin
        StackSettings.load().project.twin()
    VERBS[verb](arguments)


def bench(arguments: list[str]) -> None:
    """Run the benchmark and write its report."""
    prepare("requirements/bench.txt")
    packages.install({"nginx": "nginx", "wrk": "wrk"})
    run("bench", *arguments)


def bench_layers(arguments: list[str]) -> None:
    """Measure the cost of each layer, beside other frameworks."""
    prepare("requirements/peers.txt")
    packages.install({"nginx": "nginx", "wrk": "wrk"})
    run("bench.layers", *arguments)


def bench_fanout(arguments: list[str]) -> None:
    """Measure one room of websocket clients, beside other servers."""
    prepare("requirements/peers.txt")
    packages.install({"redis-server": "redis-server"})
    run("bench.fanout", *arguments)


def soak(arguments: list[str]) -> None:
    """Check the promises at full size."""
    prepare("requirements/test.txt")
    packages.install(testing.PROGRAMS)
    run("tests.promises", *arguments)


def screenshots(arguments: list[str]) -> None:
    """Take the README's pictures."""
    prepare("requirements/test.txt")
    packages.install({"chromium": "chromium"})
    run("slipway.ops.screenshot", *arguments)


VERBS = {
    "bench": bench,
    "bench-fanout": bench_fanout,
    "bench-layers": bench_layers,
    "lint": testing.lint,
    "lock": locks.lock,
    "new": projects.new,
    "screenshots": screenshots,
    "soak": soak,
    "suites": testing.suites,
    "test": testing.test,
    "test-docker": testing.test_docker,
    "upgrade": projects.upgrade,
}


if __name__ == "__main__":
    main()
