"""`make prove`: loads the running stack, meanwhile reloads, restarts and kills parts of it, and prints a table.

The table compares promises with observations. Steady windows alternate with reloads, so that both are measured on the
same machine in the same minute.
"""

import time
from collections.abc import Callable, Iterator

from slipway.ops import readiness, wait
from slipway.ops.console import Failure, say
from slipway.ops.load import CONNECTIONS, Load, load
from slipway.ops.runtime import Runtime
from slipway.ops.settings import StackSettings
from slipway.ops.verdicts import FACTOR, NOTICED_SECONDS, PromiseResult, Verdict, latency, lost, within

ROUNDS = 2  # of a steady window and a reload; one more steady window follows
STEADY_SECONDS = 2.0
AFTER_SECONDS = 1.0  # of load after an operation, for late effects
BACK_SECONDS = 2.0  # within which a killed worker is replaced
HEALED_SECONDS = 5.0  # within which the stack is ready after a restart of nginx
WAIT_SECONDS = 30.0  # the limit for steps that should take seconds


def prove(settings: StackSettings, runtime: Runtime) -> None:
    """Run all trials, in under a minute; raise Failure if a promise was broken."""
    if not readiness.is_ready(settings, settings.url):
        raise Failure(
            f"{readiness.url(settings, settings.url)} does not answer as it should; `make up` starts the stack"
        )
    say(f"  load: GET {settings.prove_path} over {CONNECTIONS} clients, half of them with a new connection each time")
    workers = len(runtime.trials.serving())
    rows = [
        *_reloads(settings, runtime, workers),
        *_killed_worker(settings, runtime, workers),
        *_operator(settings, runtime),
        *_stop_and_start(settings, runtime),
    ]
    for row in rows:
        say(f"  {row.verdict.value:17}  {row.promise:62} {row.seen}")
    if any(row.verdict is Verdict.BROKEN for row in rows):
        raise Failure("a promise was not kept")


def _reloads(settings: StackSettings, runtime: Runtime, workers: int) -> Iterator[PromiseResult]:
    steady, busy = [_steady(settings)], []
    for _ in range(ROUNDS):
        say("  reload")
        with load(settings, settings.prove_path) as seen:
            runtime.reload()
        busy.append(seen)
        steady.append(_steady(settings))
    yield lost("steady load loses nothing", _all(steady))
    yield lost(f"{ROUNDS} reloads of {workers} workers lose nothing", _all(busy))
    promise = f"their p99 is at most {FACTOR:g} times the steady one, or {NOTICED_SECONDS * 1_000:.0f} ms"
    yield latency(promise, steady, busy)


def _steady(settings: StackSettings) -> Load:
    with load(settings, settings.prove_path) as seen:
        time.sleep(STEADY_SECONDS)
    return seen


def _killed_worker(settings: StackSettings, runtime: Runtime, workers: int) -> Iterator[PromiseResult]:
    say("  SIGKILL of a worker")
    with load(settings, settings.prove_path) as seen:
        pid = runtime.trials.kill_worker()
        seconds = _until(lambda: pid not in (pids := runtime.trials.serving()) and len(pids) == workers)
        time.sleep(AFTER_SECONDS)
    yield lost("a killed worker loses no GET", seen)
    yield within(f"its place is taken within {BACK_SECONDS:g} s", seconds, BACK_SECONDS, seen)


def _operator(settings: StackSettings, runtime: Runtime) -> Iterator[PromiseResult]:
    say("  `make up` again")
    with load(settings, settings.prove_path) as seen:
        runtime.up()
        time.sleep(AFTER_SECONDS)
    yield lost("`make up` again loses nothing", seen)
    say("  restart of nginx")
    runtime.trials.restart_proxy()
    seconds = _until(lambda: readiness.is_ready(settings, settings.url))
    yield within(f"after a restart of nginx it answers within {HEALED_SECONDS:g} s", seconds, HEALED_SECONDS, seen)


def _stop_and_start(settings: StackSettings, runtime: Runtime) -> Iterator[PromiseResult]:
    say("  stop")
    start = time.monotonic()
    code = runtime.trials.stop_app()
    seconds, most = time.monotonic() - start, runtime.trials.stop_seconds
    yield within(f"it stops within {most:g} s", seconds, most)
    yield PromiseResult("its exit code is 0", str(code), Verdict.KEPT if code == 0 else Verdict.BROKEN)
    runtime.trials.start_app()
    back = wait.until(lambda: readiness.is_ready(settings, settings.url), WAIT_SECONDS)
    yield PromiseResult("started again, it is ready", "yes" if back else "no", Verdict.KEPT if back else Verdict.BROKEN)


def _all(loads: list[Load]) -> Load:
    return Load(
        [latency for load in loads for latency in load.latencies],
        [failure for load in loads for failure in load.failures],
        [wait for load in loads for wait in load.waits],
    )


def _until(true: Callable[[], object]) -> float:
    start = time.monotonic()
    wait.until(true, WAIT_SECONDS)
    return time.monotonic() - start
