"""The number of workers in real containers with limits."""

import subprocess

import pytest

from slipway.ops.settings import ROOT

IMAGE = "python:3.13-slim"
COUNT = "from slipway.serving.cpus import worker_count; found = worker_count(); print(found.workers, found.reason)"


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (("--cpus", "1.5", "--memory", "512m"), "1 CPU quota of 1.5"),
        (("--cpus", "1", "--memory", "512m"), "1 CPU quota of 1"),
        (("--cpuset-cpus", "0", "--memory", "512m"), "1 CPUs"),
        (("--memory", "192m"), "1 memory limit of 192 MiB"),
    ],
)
def test_limits_of_a_container(limits: tuple[str, ...], expected: str) -> None:
    """The smallest of quota, CPUs and memory decides, and the reason names it."""
    command = ["docker", "run", "--rm", "--network", "none", "--read-only", *limits]
    command += ["-v", f"{ROOT}/slipway:/srv/slipway:ro", "-w", "/srv", IMAGE, "python", "-c", COUNT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(expected)
