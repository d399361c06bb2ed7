"""Which worker serves which listener.

The arbiter holds one listener per slot for its whole life and gives each worker one. With one shared listener, 200
websockets were spread over 4 workers as 97/43/30/30, and with one listener each as 50/50/50/50. Clients in a dead
worker's queue are served by its successor instead of being refused. A slot without a worker (after SIGTTOU, or while
the restart of a crashing worker is held back) is lent to another worker through a small shared table.
"""

import mmap
import struct
from collections.abc import Iterable, Sequence

ENTRY = struct.Struct("=i")


class Loans:
    """A table in shared memory: for each slot the pid of the worker that serves it beside its own, or 0."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._memory = mmap.mmap(-1, max(1, slots) * ENTRY.size)

    def lend(self, slot: int, pid: int) -> bool:
        """Lend a slot to a worker, or to none (0); return whether that changes the table."""
        before = ENTRY.unpack_from(self._memory, slot * ENTRY.size)[0]
        ENTRY.pack_into(self._memory, slot * ENTRY.size, pid)
        return bool(before != pid)

    def of(self, pid: int) -> list[int]:
        """Return the slots that are lent to a worker."""
        return [slot for slot in range(self._slots) if ENTRY.unpack_from(self._memory, slot * ENTRY.size)[0] == pid]


def emptiest(slots: int, used: Sequence[int]) -> int:
    """Return the slot for a new worker: the first of those with the fewest workers."""
    return min(range(slots), key=used.count)


def lend_orphans(loans: Loans, slots: int, serving: Iterable[tuple[int, int]]) -> bool:
    """Lend each slot without a worker to one of the workers, given as (slot, pid); end other loans.

    Return whether anything has changed.
    """
    workers = sorted(serving)
    owned = {slot for slot, _ in workers}
    orphans = [slot for slot in range(slots) if slot not in owned]
    wanted = dict.fromkeys(owned, 0)
    for number, slot in enumerate(orphans):
        wanted[slot] = workers[number % len(workers)][1] if workers else 0
    return sum(loans.lend(slot, pid) for slot, pid in wanted.items()) > 0  # `any` would stop at the first change
