"""Runs one load with one of the generators: the open load, wrk or locust."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import mean
from typing import Any

from bench.load import wrk
from bench.load.job import Job, LoadResult, job_json
from bench.run import machine
from bench.run.arms import program
from bench.run.stack import RunningArm
from bench.run.workloads import Workload, marked
from slipway.ops.settings import ROOT

LATE_SHARE = 0.01  # of the starts; above it the generator was the bottleneck
BUSY = 0.9  # of one processor
LOCUST_RATE = 200  # requests per second that one locust process sustains
LOCUST_USERS = 20
LOCUST_WARMUP = 1.0  # seconds
FINDINGS = (0, 1)  # locust's exit codes of a valid run: no failures, or failed requests
GRACE_SECONDS = 30.0


class Meter:
    """CPU time of app and nginx, and of each processor, over one run."""

    def __init__(self, up: RunningArm, cpus: machine.Cpus) -> None:
        self._cpus = cpus.servers
        self._trees = {"app": machine.tree(up.app.pid), "nginx": machine.tree(up.proxy.pid)}
        self._used = {name: machine.cpu_seconds(pids) for name, pids in self._trees.items()}
        self._times = machine.cpu_times()

    def read(self) -> dict[str, Any]:
        cpu = {name: machine.cpu_seconds(pids) - self._used[name] for name, pids in self._trees.items()}
        shares = machine.shares(self._times, machine.cpu_times())
        busy = mean(shares[number][0] for number in self._cpus)
        return {"cpu": cpu, "busy": busy, "stolen": max(stolen for _, stolen in shares.values())}


def open_load(port: int, workload: Workload, *, rate: float, seconds: float, warmup: float, number: int,
              cpus: Sequence[int], seed: int, answers: Mapping[str, str]) -> LoadResult:  # fmt: skip
    """Run the open load in a separate process."""
    kinds = [marked(kind, number, answers) for kind in workload.kinds]
    job = Job(port, kinds, rate, warmup + seconds, warmup, seed)
    command = ["taskset", "-c", ",".join(map(str, cpus)), sys.executable, "-m", "bench.load.openload"]
    done = subprocess.run(
        command, input=job_json(job), capture_output=True, text=True, cwd=ROOT,
        timeout=warmup + seconds + GRACE_SECONDS,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the generator failed:\n{done.stderr[-2_000:]}")
    return LoadResult.from_dict(json.loads(done.stdout))


def overloaded(result: LoadResult) -> str | None:
    """The reason why the generator, not the server, limited a run; None if it did not."""
    if result.late > LATE_SHARE * max(1, result.offered):
        return f"the generator started {result.late} of {result.offered} requests late"
    return f"the generator was {result.busy:.0%} busy" if result.busy > BUSY else None


def no_peak(found: wrk.Peak) -> str | None:
    """The reason why a run of wrk is no valid peak; None if it is."""
    if found.errors:
        return f"{found.errors} of {found.requests} requests failed"
    return f"wrk was {found.busy:.0%} busy" if found.busy > BUSY else None


def peak(up: RunningArm, workload: Workload, *, seconds: int, number: int, cpus: Sequence[int]) -> wrk.Peak:
    """Run wrk, a closed load, for the highest throughput."""
    kind = marked(workload.kinds[0], number)
    request = wrk.RequestTemplate(kind.path, kind.method, kind.body, "application/octet-stream")
    return wrk.run(up.origin, request, seconds=seconds, connections=workload.peak_connections, cpus=cpus)


def locust(up: RunningArm, workload: Workload, *, rate: float, seconds: float, folder: Path,
           cpus: Sequence[int]) -> dict[str, Any]:  # fmt: skip
    """Run locust at a rate that it sustains."""
    record = folder / f"locust-{workload.name}-{up.arm.name}.json"
    command = [
        program("locust"), "-f", "loadtest", "--headless", "--only-summary", "--strict", "-H", up.origin,
        "-u", str(LOCUST_USERS), "-r", "100", "-t", f"{seconds + LOCUST_WARMUP:.0f}s",
        "--rate", str(rate / LOCUST_USERS), "--warmup", str(LOCUST_WARMUP), "--record", str(record), workload.user,
    ]  # fmt: skip
    command = ["taskset", "-c", ",".join(map(str, cpus)), *command]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds + GRACE_SECONDS)
    with (folder / "locust.log").open("a") as log:
        log.write(done.stdout + done.stderr)
    found: dict[str, Any] = {"corrected": {}, "uncorrected": {}, "failures": {}}
    with suppress(OSError):
        found |= json.loads(record.read_text())
        record.unlink()
    if missed := found.pop("missed", 0):
        found["failures"]["start never made"] = missed
    return {"result": found, "void": None if done.returncode in FINDINGS else f"locust ended with {done.returncode}"}
