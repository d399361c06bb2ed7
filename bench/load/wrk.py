"""wrk: closed load, for peaks alone. It drives ten times what locust can.

Its latencies are no measure: it adds what it guesses to have missed (`stats_correct` in its main), so that not even
Little's law holds for them.
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
    """wrk is missing or ended without its summary."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, sent again and again."""

    path: str
    method: str = "GET"
    body: str = ""
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Peak:
    """What wrk saw. Times are milliseconds."""

    requests: int
    seconds: float
    errors: int
    mean: float
    p50: float
    p90: float
    p99: float
    worst: float
    busy: float = 0.0  # wrk's own CPU time by the time that it ran

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def run(
    origin: str, call: Call, *, seconds: float, connections: int = 32, cpus: Sequence[int] = (), host: str = "127.0.0.1"
) -> Peak:
    """Keep `connections` requests under way for so many seconds, also for parts of one."""
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
        origin + call.path,
    ]
    if cpus:
        command = ["taskset", "-c", ",".join(map(str, cpus)), *command]
    if shutil.which("wrk") is None:
        raise WrkFailed("wrk is not installed: apt-get install wrk")
    env = {"BENCH_METHOD": call.method, "BENCH_CONTENT_TYPE": call.content_type}
    if call.body:
        env["BENCH_BODY"] = call.body
    used = _used()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **env}
    ) as wrk:
        try:
            started = wrk.stdout.readline() if wrk.stdout else ""  # until then the signal would just end it
            output, _ = wrk.communicate(timeout=seconds)  # it has failed if it ends by itself
        except subprocess.TimeoutExpired:
            wrk.send_signal(signal.SIGINT)  # its options know whole seconds only; it ends at its next tenth of one
            output, _ = wrk.communicate(timeout=GRACE_SECONDS)
        finally:
            wrk.kill()
    peak = parse(started + output)
    return replace(peak, busy=(_used() - used) / peak.seconds)


def _used() -> float:
    """CPU seconds of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def parse(output: str) -> Peak:
    """The figures of the line that our script writes."""
    for line in output.splitlines():
        if line.startswith("BENCH "):
            data = json.loads(line.removeprefix("BENCH "))
            errors = sum(data[kind] for kind in ("connect", "read", "write", "status"))  # an answer after 2 s is one
            times = {name: data[key] / 1_000 for name, key in TIMES.items()}
            return Peak(requests=data["requests"], seconds=data["microseconds"] / 1e6, errors=errors, **times)
    raise WrkFailed(f"wrk gave no summary:\n{output[-1_000:]}")


TIMES = {"mean": "mean", "p50": "p50", "p90": "p90", "p99": "p99", "worst": "max"}
