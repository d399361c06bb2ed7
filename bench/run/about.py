"""What a run was made of: machine, versions, configuration, commands, and the predictions written down before."""

import platform
import subprocess
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from bench.run import machine, stack
from bench.run.arms import Arm
from bench.run.plan import Mode
from bench.run.workloads import ALL

PACKAGES = (
    "gunicorn", "uvicorn", "uvloop", "httptools", "websockets", "sqlalchemy", "aiosqlite", "psycopg", "locust",
    "hypercorn", "daphne", "granian",
)  # fmt: skip
LEAST_WORKERS = 2  # one would hide how the load is balanced


def facts(mode: Mode, arms: Sequence[Arm], *, seed: int, objective: float) -> dict[str, Any]:
    """Everything that the report tells about the run itself."""
    cpus = machine.split_cpus()
    return {
        "begun": stack.now(),
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
    """Of everything that takes part."""
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
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, cwd=stack.ROOT)
    except OSError:
        return "unknown"
    return (done.stdout + done.stderr).strip().partition("\n")[0] or "unknown"
