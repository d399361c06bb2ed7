"""The verdict on a run: failures that are known only at its end, and the exit code."""

import logging

from locust.env import Environment

from loadtest import _workers
from loadtest._options import LOST_PROCESS, NOT_READY, OVER_LIMIT, TOO_SLOW, Chosen
from loadtest._record import record
from loadtest._talk import talk

log = logging.getLogger("loadtest")


def count_lost(environment: Environment) -> None:
    """Count messages that never reached a listener as failures."""
    for name, number in talk.lost().items():
        failure = "a message that others have heard never came"
        record.failures[f"{name} delivery: {failure}"] += number
        for _ in range(number):
            environment.events.request.fire(  # type: ignore[no-untyped-call]
                request_type="LOST", name=f"{name} delivery", response_time=None, response_length=0,
                exception=AssertionError(failure), context={},
            )  # fmt: skip


def verdict(environment: Environment, chosen: Chosen) -> int | None:
    """Log the reason and return the exit code of the run; None leaves it to locust, which counts failures."""
    options, runner = environment.parsed_options, environment.runner
    assert options is not None and runner is not None
    if lost := _workers.lost():
        log.error("%d of the generator's processes were lost: what they had not reported is in no figure.", lost)
    overloaded = runner.cpu_warning_emitted or getattr(runner, "worker_cpu_warning_emitted", False)
    broken = [found for limit in chosen.limits if (found := limit.broken(record))]
    for found in broken:
        log.error("--fail-if %s", found)
    if chosen.strict and lost:
        return LOST_PROCESS
    if chosen.strict and overloaded:
        log.error("The generator itself was overloaded: these figures are void. Try --processes or a lower rate.")
        return TOO_SLOW
    if options.headless and not runner.stats.total.num_requests:
        log.error("Not one request was made.")
        return NOT_READY
    if broken:
        return OVER_LIMIT
    limits = [limit for limit in chosen.limits if limit.what == "failures"]
    if any(not any(limit.concerns(name) for limit in limits) for name in record.failures):
        return int(options.exit_code_on_error)
    return 0 if limits else None  # a limit allows the failures below it
