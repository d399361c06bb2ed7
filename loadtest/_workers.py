"""The worker processes of a distributed run; the last figures of one that ends before the test are lost."""

from collections.abc import Callable
from typing import Any

import gevent  # type: ignore[import-untyped]
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from loadtest._socket import TIMEOUT_SECONDS

FINISH = "slipway_finish"  # from the master: end your users
ENDED = "slipway_ended"  # from each worker, once they have ended

GATHER_SECONDS = 20.0
FINISH_SECONDS = TIMEOUT_SECONDS + 10.0

LastFigures = Callable[[], dict[str, Any]]

_began: set[str] = set()
_ended: set[str] = set()


def watch(environment: Environment, merge: Callable[[dict[str, Any]], None]) -> None:
    """Register the messages: the master ends the test, each worker reports its end with its last figures."""

    def hear(environment: Environment, msg: Any, **_: Any) -> None:
        merge(msg.data)
        _ended.add(msg.node_id)

    if isinstance(environment.runner, MasterRunner):
        environment.runner.register_message(ENDED, hear)
    if isinstance(environment.runner, WorkerRunner):
        environment.runner.register_message(FINISH, _finish, concurrent=True)


def gather(environment: Environment) -> None:
    """Wait until the processes of --processes are there: without a master they would retry for minutes, unseen."""
    options, runner = environment.parsed_options, environment.runner
    if options is None or not options.processes or not isinstance(runner, MasterRunner):
        return
    with gevent.Timeout(GATHER_SECONDS, False):
        while len(runner.clients) < options.processes:
            gevent.sleep(0.05)


def begin(environment: Environment) -> None:
    """Note the workers that are there when a test begins."""
    _began.clear()
    _ended.clear()
    if isinstance(environment.runner, MasterRunner):
        _began.update(environment.runner.clients)


def finish(environment: Environment) -> None:
    """End the users of all workers and wait for that: at the end of its run time locust gives them half a second."""
    runner = environment.runner
    if not isinstance(runner, MasterRunner):
        return
    runner.send_message(FINISH)
    with gevent.Timeout(FINISH_SECONDS, False):
        while _began - _ended - {client.id for client in runner.clients.missing}:
            gevent.sleep(0.05)


def report(client_id: str) -> None:
    """Note a worker that has sent figures; it may have joined after the test began."""
    _began.add(client_id)


def end(environment: Environment, figures: LastFigures) -> None:
    """Send this worker's last figures at the end of a test; locust's own report may come too late for the verdict."""
    if isinstance(environment.runner, WorkerRunner):
        environment.runner.send_message(ENDED, figures())


def lost() -> int:
    """Return the number of workers that took part but did not report the test's end."""
    return len(_began - _ended)


def _finish(environment: Environment, msg: Any, **_: Any) -> None:
    if environment.runner is not None:
        environment.runner.stop()
