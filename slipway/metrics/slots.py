"""The figures of each slot: the sum over its running and its ended workers."""

import os
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from slipway.metrics import board, figures, layout
from slipway.metrics.figures import WorkerFigures

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True)
class Generation:
    """One worker's process."""

    label: str  # of its slot
    pid: int
    file: int | None
    cpu: float = 0.0  # seconds reported last; a counter must not fall

    def read(self) -> WorkerFigures:
        """Return its current figures, with the CPU time that the system knows."""
        found = WorkerFigures() if self.file is None else figures.read(self.file)
        self.cpu = found.single[layout.CPU] = max(self.cpu, found.single[layout.CPU], cpu_seconds(self.pid))
        return found


@dataclass
class SlotFigures:
    """The figures of all slots, filled by the arbiter and read by the thread that answers scrapes."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    running: dict[int, Generation] = field(default_factory=dict)  # by pid
    ended: dict[str, WorkerFigures] = field(default_factory=dict)  # by label

    def started(self, label: str, pid: int, file: int | None) -> None:
        """Add a worker after its fork."""
        with self.lock:
            self.running[pid] = Generation(label, pid, file)
            self.ended.setdefault(label, WorkerFigures())

    def tell_reloads(self, reloads: int) -> None:
        """Write the number of reloads for each running worker."""
        with self.lock:
            for generation in self.running.values():
                if generation.file is not None:
                    board.tell_reloads(generation.file, reloads)

    def has_ended(self, pid: int) -> None:
        """Add the counters of an ended worker to its slot's, in one step."""
        with self.lock:
            generation = self.running.pop(pid, None)
            if generation is None:
                return
            last = generation.read()
            last.close()
            self.ended[generation.label].add(last)
            if generation.file is not None:
                with suppress(OSError):
                    os.close(generation.file)

    def by_label(self) -> dict[str, WorkerFigures]:
        """Return the sum for each slot."""
        with self.lock:
            parts = {label: [before] for label, before in self.ended.items()}
            for generation in self.running.values():
                parts[generation.label].append(generation.read())
            return {label: figures.total(found) for label, found in sorted(parts.items())}

    def pids(self) -> dict[str, list[int]]:
        """Return the pids of each slot's running workers."""
        with self.lock:
            found: dict[str, list[int]] = {label: [] for label in sorted(self.ended)}
            for pid, generation in self.running.items():
                found[generation.label].append(pid)
            return found

    def forget(self) -> None:
        """Close the siblings' files in a forked worker, and replace the lock: a thread of the parent may hold it."""
        for generation in self.running.values():
            if generation.file is not None:
                with suppress(OSError):
                    os.close(generation.file)
        self.running = {}
        self.lock = threading.Lock()


def cpu_seconds(pid: int) -> float:
    """The CPU time that a process has used; 0 for one that is gone."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / TICKS
    except (OSError, IndexError, ValueError):
        return 0.0


def resident_bytes(pid: int) -> int:
    """The memory that a process has in RAM."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError, ValueError):
        return 0
