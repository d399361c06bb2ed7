"""The processes of a distributed run: one that ends before the test does takes its users' figures with it."""

from collections.abc import Callable
from typing import Any

import gevent  # type: ignore[import-untyped]
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from loadtest._socket import TIMEOUT_SECONDS

FINISH = "slipway_finish"  # what the master says: have your users end
ENDED = "slipway_ended"  # what each worker says when they have

GATHER_SECONDS = 20.0
FINISH_SECONDS = TIMEOUT_SECONDS + 10.0

LastFigures = Callable[[], dict[str, Any]]

_began: set[str] = set()
_ended: set[str] = set()


def watch(environment: Environment, merge: Callable[[dict[str, Any]], None]) -> None:
    """Have each worker hear that the test ends, and the master of each worker's end, with its last figures."""

    def hear(environment: Environment, msg: Any, **_: Any) -> None:
        merge(msg.data)
        _ended.add(msg.node_id)

    if isinstance(environment.runner, MasterRunner):
        environment.runner.register_message(ENDED, hear)
    if isinstance(environment.runner, WorkerRunner):
        environment.runner.register_message(FINISH, _finish, concurrent=True)


def gather(environment: Environment) -> None:
    """Wait until the processes of --processes are there: those that find no master try for minutes, unseen."""
    options, runner = environment.parsed_options, environment.runner
    if options is None or not options.processes or not isinstance(runner, MasterRunner):
        return
    with gevent.Timeout(GATHER_SECONDS, False):
        while len(runner.clients) < options.processes:
            gevent.sleep(0.05)


def begin(environment: Environment) -> None:
    """A test begins."""
    _began.clear()
    _ended.clear()
    if isinstance(environment.runner, MasterRunner):
        _began.update(environment.runner.clients)


def finish(environment: Environment) -> None:
    """Wait until the users of all workers have ended: at the end of its time locust gives them half a second."""
    runner = environment.runner
    if not isinstance(runner, MasterRunner):
        return
    runner.send_message(FINISH)
    with gevent.Timeout(FINISH_SECONDS, False):
        while _began - _ended - {client.id for client in runner.clients.missing}:
            gevent.sleep(0.05)


def report(client_id: str) -> None:
    """A worker, which may have come later, has shipped figures."""
    _began.add(client_id)


def end(environment: Environment, figures: LastFigures) -> None:
    """A test has ended in this process; locust's own last report may come too late for the verdict."""
    if isinstance(environment.runner, WorkerRunner):
        environment.runner.send_message(ENDED, figures())


def lost() -> int:
    """How many workers took part and did not end the test."""
    return len(_began - _ended)


def _finish(environment: Environment, msg: Any, **_: Any) -> None:
    if environment.runner is not None:
        environment.runner.stop()
