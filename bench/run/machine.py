"""The kernel's figures of processes and processors (CPU time, memory, idle share), and the CPU affinity of a run."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
NANOSECONDS = 1e9


@dataclass(frozen=True, slots=True)
class Cpus:
    """The processors of the servers and of the load generator, disjoint on two processors or more."""

    servers: tuple[int, ...]
    generator: tuple[int, ...]


def split_cpus() -> Cpus:
    """Assign the last processor to the generator, the rest to the servers."""
    usable = sorted(os.sched_getaffinity(0))
    return Cpus(tuple(usable[:-1]), tuple(usable[-1:])) if len(usable) > 1 else Cpus(tuple(usable), tuple(usable))


def tree(pid: int) -> list[int]:
    """The process and all its descendants."""
    found = [pid]
    for parent in found:
        for task in _tasks(parent):
            try:
                found += map(int, (task / "children").read_text().split())
            except OSError:
                continue  # the process ended meanwhile
    return found


def cpu_seconds(pids: list[int]) -> float:
    """CPU time of all threads from schedstat, in nanoseconds; /proc/*/stat has a resolution of 10 ms."""
    return sum(_run_nanoseconds(task) for pid in pids for task in _tasks(pid)) / NANOSECONDS


def pss_kib(pid: int) -> int:
    """Proportional set size: shared memory is divided among the processes that share it."""
    for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def cpu_times() -> dict[int, tuple[int, int, int]]:
    """Total, idle and stolen ticks of each processor."""
    times = {}
    for line in (PROC / "stat").read_text().splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name[3:].isdigit():
            ticks = [int(field) for field in fields[:8]]
            times[int(name[3:])] = (sum(ticks), ticks[3] + ticks[4], ticks[7])
    return times


def shares(
    before: dict[int, tuple[int, int, int]], after: dict[int, tuple[int, int, int]]
) -> dict[int, tuple[float, float]]:
    """The busy and the stolen share of each processor between two readings."""
    result = {}
    for cpu, (total, idle, stolen) in after.items():
        ticks = max(1, total - before[cpu][0])
        result[cpu] = (1 - (idle - before[cpu][1]) / ticks, (stolen - before[cpu][2]) / ticks)
    return result


def describe() -> dict[str, str]:
    """The machine's description for the report."""
    model = [line.partition(":")[2].strip() for line in _lines(PROC / "cpuinfo") if line.startswith("model name")]
    memory = [line.split()[1] for line in _lines(PROC / "meminfo") if line.startswith("MemTotal")]
    return {
        "processor": model[0] if model else platform.machine(),
        "processors": str(len(os.sched_getaffinity(0))),
        "memory": f"{int(memory[0]) / 2**20:.1f} GiB" if memory else "unknown",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "governor": "".join(_lines(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"))) or "not offered",
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def _tasks(pid: int) -> list[Path]:
    try:
        return list((PROC / str(pid) / "task").iterdir())
    except OSError:
        return []


def _run_nanoseconds(task: Path) -> int:
    try:
        return int((task / "schedstat").read_text().split()[0])
    except (OSError, IndexError):
        return 0


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
