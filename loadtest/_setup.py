"""What every run needs: the host, finer statistics, a look at the stack before the load, and both latencies at the end.

Loaded by import only, once: locust itself runs no file that begins with an underscore.
"""

import logging
import sys
import time
import urllib.error
import urllib.request
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import gevent  # type: ignore[import-untyped]
from locust import events, runners, stats
from locust.env import Environment

from loadtest._record import record, three_digits

HOST = "http://127.0.0.1:8080"
PROBE_SECONDS = 5.0
NOT_READY = 3  # exit code
TOO_SLOW = 4  # exit code

# made to be replaced: https://github.com/locustio/locust/pull/3373
stats.bucket_response_time = three_digits  # type: ignore[assignment]
runners.CPU_MONITOR_INTERVAL = 1.0  # seconds; by default 10, and a short run would never be checked

log = logging.getLogger("loadtest")


def add_options(parser: ArgumentParser, **_: Any) -> None:
    parser.add_argument("--rate", type=float, default=0.0, help="requests per second of each user; 0: each class's own")
    parser.add_argument("--warmup", type=float, default=0.0, help="seconds whose requests are not in the latency table")
    parser.add_argument("--record", default="", help="write the histograms of both latencies to this file (JSON)")
    parser.add_argument("--strict", action="store_true", help=f"end with {TOO_SLOW} when the generator was overloaded")


def on_init(environment: Environment, **_: Any) -> None:
    options = environment.parsed_options
    if options is None or (options.worker and not options.processes):
        return
    if not options.user_classes:
        environment.user_classes[:] = [user for user in environment.user_classes if getattr(user, "in_mix", True)]
    if options.headless and (problem := obstacle(environment)):
        # the workers of --processes too: a master that ends this early leaves them behind for a minute
        sys.exit(NOT_READY if options.worker else _say(problem))


def on_test_start(environment: Environment, **_: Any) -> None:
    options = environment.parsed_options
    record.clear(time.perf_counter() + (options.warmup if options else 0.0))
    if (
        options
        and not options.headless
        and not options.worker
        and environment.runner
        and (problem := obstacle(environment))
    ):
        log.error("%s", problem)
        gevent.spawn_later(0, environment.runner.stop)


def on_report(data: dict[str, Any], **_: Any) -> None:
    data["record"] = record.take()


def on_worker_report(data: dict[str, Any], **_: Any) -> None:
    record.merge(data["record"])


def on_quitting(environment: Environment, **_: Any) -> None:
    options, runner = environment.parsed_options, environment.runner
    if options is None or options.worker or runner is None:
        return
    if record.corrected:
        print("\n" + record.table() + "\n")
    if options.record:
        record.save(Path(options.record))
    overloaded = runner.cpu_warning_emitted or runner.worker_cpu_warning_emitted
    if overloaded and options.strict:
        environment.process_exit_code = TOO_SLOW
        log.error("The generator itself was overloaded: these figures are void. Try --processes or a lower rate.")
    elif options.headless and not runner.stats.total.num_requests and environment.process_exit_code is None:
        environment.process_exit_code = _say("Not one request was made.")


def obstacle(environment: Environment) -> str | None:
    """Why the test can't run: no host, nothing there, or an app that does not offer what the users ask for."""
    for user in environment.user_classes:
        host = environment.host or user.host
        if not host:
            return f"No host: add --host {HOST}"
        if problem := _probe(host.rstrip("/") + getattr(user, "probe", "/livez")):
            return problem
    return None


def _probe(url: str) -> str | None:
    try:
        urllib.request.urlopen(url, timeout=PROBE_SECONDS).close()
    except urllib.error.HTTPError as error:
        hint = " The stack must run with BENCH_ENDPOINTS=1 for this user." if error.code == 404 else ""
        return f"{url} answers {error.code}, not 200.{hint}"
    except (OSError, ValueError) as error:
        return f"{url} does not answer ({getattr(error, 'reason', error)}). Is the stack up? `make up` starts it."
    return None


def _say(problem: str) -> int:
    log.error("%s", problem)
    return NOT_READY


for hook, listener in (
    (events.init_command_line_parser, add_options),
    (events.init, on_init),
    (events.test_start, on_test_start),
    (events.report_to_master, on_report),
    (events.worker_report, on_worker_report),
    (events.quitting, on_quitting),
):
    hook.add_listener(listener)  # type: ignore[no-untyped-call]
