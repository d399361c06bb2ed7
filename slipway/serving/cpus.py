"""The number of workers for this machine or container, by its CPU quota, affinity mask and memory limit.

`os.cpu_count()` counts the host's CPUs, for example 64 in a container that may use 1.5 of them:
https://github.com/benoitc/gunicorn/issues/2028
"""

import os
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20
WORKER_BYTES = 128 * MIB  # a busy worker of the shipped app has 80 MiB in RAM
UNLIMITED_BYTES = 1 << 60  # cgroup v1 writes "no limit" as a number near 2**63


@dataclass(frozen=True, slots=True)
class WorkerCount:
    """The number of workers, and the limit that decided it."""

    workers: int
    reason: str


def worker_count(root: Path = Path("/")) -> WorkerCount:
    """Return the smallest of CPU quota, affinity mask and the workers that fit the memory limit; at least 1.

    `root` is the folder where proc and sys are mounted.
    """
    limits = [
        WorkerCount(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, "CPUs")
    ]
    for folder in _cgroup_folders(root):
        quota = _v2_quota(folder) or _v1_quota(folder)
        if quota is not None:
            limits.append(WorkerCount(max(1, int(quota)), f"CPU quota of {quota:g}"))
        memory = _number(folder / "memory.max") or _number(folder / "memory.limit_in_bytes")
        if memory is not None and memory < UNLIMITED_BYTES:
            limits.append(WorkerCount(max(1, memory // WORKER_BYTES), f"memory limit of {memory // MIB} MiB"))
    return min(limits, key=lambda limit: limit.workers)


def _cgroup_folders(root: Path) -> list[Path]:
    """Return the folders of the process's cgroups and all their parents, v1 and v2: a limit in any of them applies."""
    mount = root / "sys/fs/cgroup"
    folders = [mount, mount / "cpu", mount / "memory"]
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return folders
    for line in lines:
        _, _, controllers_and_path = line.partition(":")
        controllers, _, path = controllers_and_path.partition(":")
        for base in (
            [mount]
            if not controllers
            else [mount / name for name in ("cpu", "memory") if name in controllers.split(",")]
        ):
            folder = base / path.lstrip("/")
            folders += [folder, *(parent for parent in folder.parents if base in parent.parents)]
    return folders


def _v2_quota(folder: Path) -> float | None:
    """https://docs.kernel.org/admin-guide/cgroup-v2.html: cpu.max holds "max 100000" or "150000 100000"."""
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        return int(quota) / int(period)
    except (OSError, ValueError):
        return None


def _v1_quota(folder: Path) -> float | None:
    quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
    return quota / period if quota and period and quota > 0 else None


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
