"""The setup of every run: options, finer statistics, a check of the stack before the load, the verdict at the end.

Loaded once, by an import: locust itself runs no file that begins with an underscore.
"""

import logging
import sys
import time
from typing import Any

import gevent  # type: ignore[import-untyped]
from locust import events, runners, stats
from locust.env import Environment

from loadtest import _options, _page, _workers
from loadtest._probe import obstacle
from loadtest._record import record, three_digits
from loadtest._stages import Shape
from loadtest._talk import talk
from loadtest._verdict import count_lost, verdict

# meant to be replaced: https://github.com/locustio/locust/pull/3373
stats.bucket_response_time = three_digits  # type: ignore[assignment]
runners.CPU_MONITOR_INTERVAL = 1.0  # seconds; with the default of 10, a short run would never be checked

log = logging.getLogger("loadtest")


def on_init(environment: Environment, **_: Any) -> None:
    options = environment.parsed_options
    if options is None:
        return
    try:
        _options.choose(options)
    except _options.Wrong as wrong:
        _workers.gather(environment)
        sys.exit(_end(environment, str(wrong), _options.WRONG_OPTION))
    _workers.watch(environment, merge)
    _page.add(environment)
    if options.worker and not options.processes:
        return
    if not options.user_classes:
        mix = [user for user in environment.user_classes if getattr(user, "in_mix", True)]
        environment.user_classes[:] = mix or environment.user_classes
    if stages := _options.chosen().stages:
        environment.shape_class = Shape(stages)
    if options.headless and (problem := obstacle(environment)):
        _workers.gather(environment)
        sys.exit(_end(environment, problem, _options.NOT_READY))


def on_test_start(environment: Environment, **_: Any) -> None:
    options = environment.parsed_options
    problem = typed(options) if options else None  # on the page, or on the master
    record.clear(time.perf_counter() + _options.chosen().warmup)
    talk.clear()
    _workers.begin(environment)
    if options is None or environment.runner is None or options.headless or options.worker:
        return
    if problem := problem or obstacle(environment):
        log.error("%s", problem)
        gevent.spawn_later(0, environment.runner.stop)


def typed(options: Any) -> str | None:
    """Read the options again, since locust's page may have changed them; return what is wrong with them, or None."""
    try:
        _options.choose(options)
    except _options.Wrong as wrong:
        return str(wrong)
    return None


def on_test_stopping(environment: Environment, **_: Any) -> None:
    _workers.finish(environment)


def on_test_stop(environment: Environment, **_: Any) -> None:
    _workers.end(environment, take)


def on_report(data: dict[str, Any], **_: Any) -> None:
    data.update(take())


def on_worker_report(client_id: str, data: dict[str, Any], **_: Any) -> None:
    _workers.report(client_id)
    merge(data)


def take() -> dict[str, Any]:
    """Return and clear a worker's results, for the master."""
    return {"record": record.take(), "talk": talk.take()}


def merge(data: dict[str, Any]) -> None:
    """Add a worker's results on the master."""
    record.merge(data["record"])
    talk.merge(data["talk"])


def on_quitting(environment: Environment, **_: Any) -> None:
    options, runner = environment.parsed_options, environment.runner
    if options is None or options.worker or runner is None:
        return
    runner.stop()  # a signal ends locust before the users have ended
    count_lost(environment)
    if record.corrected:
        print("\n" + record.table() + "\n")
    chosen = _options.chosen()
    if chosen.record:
        record.save(chosen.record)
    if environment.process_exit_code is None:
        environment.process_exit_code = verdict(environment, chosen)


def _end(environment: Environment, problem: str, code: int) -> int:
    """Log once why the run ends and return the exit code: the workers of --processes have found the same problem."""
    options = environment.parsed_options
    if not (options and options.worker and options.processes):
        log.error("%s", problem)
    return code


for hook, listener in (
    (events.init_command_line_parser, _options.add),
    (events.init, on_init),
    (events.test_start, on_test_start),
    (events.test_stopping, on_test_stopping),
    (events.test_stop, on_test_stop),
    (events.report_to_master, on_report),
    (events.worker_report, on_worker_report),
    (events.quitting, on_quitting),
):
    hook.add_listener(listener)  # type: ignore[no-untyped-call]
