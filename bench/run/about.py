"""The description of a run: machine, versions, configuration, commands and predictions."""

import platform
import subprocess
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from bench.figures.results import now
from bench.run import machine, stack
from bench.run.arms import Arm
from bench.run.plan import Mode
from bench.run.workloads import ALL
from slipway.ops.settings import ROOT

PACKAGES = (
    "gunicorn", "uvicorn", "uvloop", "httptools", "websockets", "sqlalchemy", "orjson", "psycopg", "locust",
    "hypercorn", "daphne", "granian",
)  # fmt: skip
LEAST_WORKERS = 2  # with one worker there is no load balancing


def facts(mode: Mode, arms: Sequence[Arm], *, seed: int, objective: float) -> dict[str, Any]:
    """The facts about the run that the report shows."""
    cpus = machine.split_cpus()
    return {
        "begun": now(),
        "mode": mode.name,
        "seed": seed,
        "objective": objective,
        "workers": max(LEAST_WORKERS, len(cpus.servers)),
        "arms": [arm.name for arm in arms],
        "commands": {arm.name: " ".join(part.rpartition("/")[2] for part in arm.command) for arm in arms},
        "remarks": {arm.name: arm.remarks() for arm in arms},
        "cpus": {"servers": list(cpus.servers), "generator": list(cpus.generator)},
        "machine": machine.describe(),
        "versions": versions(),
        "nginx": stack.configuration(),
        "commit": _output("git", "rev-parse", "--short", "HEAD"),
        "predictions": {one.name: {"winner": one.prediction, "reason": one.reason} for one in ALL},
    }


def versions() -> dict[str, str]:
    """The versions of all programs and packages of the benchmark."""
    found = {"python": platform.python_version(), "nginx": _output("nginx", "-v").rpartition("/")[2]}
    found["wrk"] = _output("wrk", "-v").partition(" [")[0].removeprefix("wrk ")
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, cwd=ROOT)
    except OSError:
        return "unknown"
    return (done.stdout + done.stderr).strip().partition("\n")[0] or "unknown"
