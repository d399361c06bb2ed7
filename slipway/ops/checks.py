"""The verbs that check and measure, `make test` among them: everything that they need is set up first."""

import sys

from slipway.ops import locks, packages, projects, testing
from slipway.ops.settings import StackSettings
from slipway.ops.tools import prepare, run


def main() -> None:
    """Run a verb; what comes after it goes to the program that it starts."""
    verb, *arguments = sys.argv[1:]
    if verb == "soak":  # it is shown on an app that does the bench's work
        StackSettings.load().project.twin()
    VERBS[verb](arguments)


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
    packages.install(testing.PROGRAMS)
    run("tests.promises", *arguments)


def screenshots(arguments: list[str]) -> None:
    """The README's pictures."""
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
