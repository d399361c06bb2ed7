"""The number of workers that a machine or container can carry, from the files of the kernel."""

import os
from pathlib import Path

import pytest

from slipway.serving.cpus import MIB, WorkerCount, worker_count

CPUS = 8

V2 = "0::/slice/app\n"
V1 = "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/\n"


@pytest.fixture(autouse=True)
def eight_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """An affinity mask of eight CPUs, in place of this machine's; the table's other values are in files."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(CPUS)), raising=False)


def machine(root: Path, cgroup: str | None, files: dict[str, str]) -> Path:
    """Return a root folder with these files below sys/fs/cgroup."""
    if cgroup is not None:
        (root / "proc/self").mkdir(parents=True)
        (root / "proc/self/cgroup").write_text(cgroup)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("cgroup", "files", "expected"),
    [
        (None, {}, WorkerCount(CPUS, "CPUs")),
        (V2, {"cpu.max": "max 100000\n"}, WorkerCount(CPUS, "CPUs")),
        (V2, {"cpu.max": "150000 100000\n"}, WorkerCount(1, "CPU quota of 1.5")),
        (V2, {"cpu.max": "50000 100000\n"}, WorkerCount(1, "CPU quota of 0.5")),
        (V2, {"slice/app/cpu.max": "300000 100000\n"}, WorkerCount(3, "CPU quota of 3")),
        (V2, {"slice/cpu.max": "200000 100000\n", "slice/app/cpu.max": "max 100000"}, WorkerCount(2, "CPU quota of 2")),
        (V2, {"cpu.max": "9000000 100000\n"}, WorkerCount(CPUS, "CPUs")),
        (V2, {"memory.max": "max\n"}, WorkerCount(CPUS, "CPUs")),
        (V2, {"slice/app/memory.max": f"{512 * MIB}\n"}, WorkerCount(4, "memory limit of 512 MiB")),
        (V2, {"memory.max": f"{64 * MIB}\n"}, WorkerCount(1, "memory limit of 64 MiB")),
        (V2, {"cpu.max": "rubbish"}, WorkerCount(CPUS, "CPUs")),
        (
            V1,
            {"cpu/docker/abc/cpu.cfs_quota_us": "250000\n", "cpu/docker/abc/cpu.cfs_period_us": "100000\n"},
            WorkerCount(2, "CPU quota of 2.5"),
        ),
        (
            V1,  # a limit of the parent group, and none of the group
            {
                "cpu/docker/cpu.cfs_quota_us": "300000",
                "cpu/docker/cpu.cfs_period_us": "100000",
                "cpu/docker/abc/cpu.cfs_quota_us": "-1",
                "cpu/docker/abc/cpu.cfs_period_us": "100000",
            },
            WorkerCount(3, "CPU quota of 3"),
        ),
        (
            V1,
            {
                "memory/docker/memory.limit_in_bytes": str(384 * MIB),
                "memory/docker/abc/memory.limit_in_bytes": "9223372036854771712",
            },
            WorkerCount(3, "memory limit of 384 MiB"),
        ),
        (
            V2,  # the smaller of both
            {"slice/app/cpu.max": "600000 100000\n", "slice/memory.max": f"{512 * MIB}\n"},
            WorkerCount(4, "memory limit of 512 MiB"),
        ),
        (
            V2,
            {"slice/app/cpu.max": "150000 100000\n", "slice/app/memory.max": f"{512 * MIB}\n"},
            WorkerCount(1, "CPU quota of 1.5"),
        ),
        (V1, {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, WorkerCount(2, "CPU quota of 2")),
        (V1, {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, WorkerCount(CPUS, "CPUs")),
        (V1, {"memory/memory.limit_in_bytes": "9223372036854771712"}, WorkerCount(CPUS, "CPUs")),
        (
            V1,
            {"memory/docker/abc/memory.limit_in_bytes": str(256 * MIB)},
            WorkerCount(2, "memory limit of 256 MiB"),
        ),
    ],
)
def test_smallest_limit_decides(
    tmp_path: Path, cgroup: str | None, files: dict[str, str], expected: WorkerCount
) -> None:
    """The smallest limit of affinity, quota and memory counts, at any level of cgroup v1 or v2, and is at least 1."""
    assert worker_count(machine(tmp_path, cgroup, files)) == expected


def test_affinity_below_the_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that may use two of eight CPUs has two workers, even with a larger quota."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 5}, raising=False)

    assert worker_count(machine(tmp_path, V2, {"cpu.max": "400000 100000\n"})) == WorkerCount(2, "CPUs")


def test_without_affinity_the_cpus_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without an affinity mask, such as macOS, counts its CPUs."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)

    assert worker_count(tmp_path) == WorkerCount(5, "CPUs")
