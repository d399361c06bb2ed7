"""wrk: a closed load, used for peaks only.

Its latencies are not used: wrk adds estimated samples (`stats_correct` in its main), so they violate Little's law.
"""

import json
import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

SCRIPT = Path(__file__).with_name("wrk.lua")
GRACE_SECONDS = 30.0


class WrkFailed(RuntimeError):
    """wrk is not installed, or ended without a summary."""


@dataclass(frozen=True, slots=True)
class RequestTemplate:
    """The request that every connection repeats."""

    path: str
    method: str = "GET"
    body: str = ""
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Peak:
    """The summary of one run of wrk. Times are milliseconds."""

    requests: int
    seconds: float
    errors: int
    mean: float
    p50: float
    p90: float
    p99: float
    worst: float
    busy: float = 0.0  # wrk's CPU time divided by its run time

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def run(
    origin: str,
    request: RequestTemplate,
    *,
    seconds: float,
    connections: int = 32,
    cpus: Sequence[int] = (),
    host: str = "127.0.0.1",
) -> Peak:
    """Keep `connections` requests outstanding for `seconds`, which may be a fraction."""
    command = [
        "stdbuf",
        "-oL",
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds + GRACE_SECONDS:.0f}s",
        "-s",
        str(SCRIPT),
        "-H",
        f"Host: {host}",
        origin + request.path,
    ]
    if cpus:
        command = ["taskset", "-c", ",".join(map(str, cpus)), *command]
    if shutil.which("wrk") is None:
        raise WrkFailed("wrk is not installed: apt-get install wrk")
    env = {"BENCH_METHOD": request.method, "BENCH_CONTENT_TYPE": request.content_type}
    if request.body:
        env["BENCH_BODY"] = request.body
    used = _used()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **env}
    ) as wrk:
        try:
            started = wrk.stdout.readline() if wrk.stdout else ""  # before this line wrk has no handler for the signal
            output, _ = wrk.communicate(timeout=seconds)  # an earlier end is a failure
        except subprocess.TimeoutExpired:
            wrk.send_signal(signal.SIGINT)  # -d takes whole seconds only; wrk checks ten times a second
            output, _ = wrk.communicate(timeout=GRACE_SECONDS)
        finally:
            wrk.kill()
    peak = parse(started + output)
    return replace(peak, busy=(_used() - used) / peak.seconds)


def _used() -> float:
    """CPU seconds of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def parse(output: str) -> Peak:
    """Parse the line written by wrk.lua."""
    for line in output.splitlines():
        if line.startswith("BENCH "):
            data = json.loads(line.removeprefix("BENCH "))
            # without `timeout`, which counts late responses
            errors = sum(data[kind] for kind in ("connect", "read", "write", "status"))
            times = {name: data[key] / 1_000 for name, key in TIMES.items()}
            return Peak(requests=data["requests"], seconds=data["microseconds"] / 1e6, errors=errors, **times)
    raise WrkFailed(f"wrk gave no summary:\n{output[-1_000:]}")


TIMES = {"mean": "mean", "p50": "p50", "p90": "p90", "p99": "p99", "worst": "max"}
