"""Writes whole lines to a descriptor that other processes write to as well."""

import fcntl
import os
import select
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

PACK = 256 * 1024  # bytes in one write; after each, the thread waits for the GIL
PIPE_BUF = select.PIPE_BUF  # bytes; pipe(7): a write up to this size is atomic, even without a lock
LOCK_SECONDS = 0.016  # the longest pause between two attempts to lock


@dataclass
class Output:
    """A descriptor for lines; None discards them all."""

    descriptor: int | None
    written: int = 0  # bytes; tells a slow reader from a missing one

    def put(self, lines: bytes) -> int:
        """Write all lines; return the number of lost ones, always the last. May block; raises nothing."""
        written = 0
        try:
            with self._alone() as most:
                for pack in packs(lines, most):
                    self._write(pack)
                    written += len(pack)
            return 0
        except Torn as torn:
            written += torn.whole_bytes
        except Exception:  # no space, reader, descriptor or memory: only the count can be kept
            pass
        return lines.count(b"\n", written)

    @contextmanager
    def _alone(self) -> Iterator[int]:
        """Lock out the stack's other processes, so that lines do not mix; yield the most bytes for one write.

        The lock is on the pipe itself: it needs no lock file, and the system frees it when its holder dies.
        """
        if self.descriptor is None:
            raise BrokenPipeError
        mode = os.fstat(self.descriptor).st_mode
        shared = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISREG(mode)
        locked = shared and self._lock()
        try:
            yield PACK if locked or not shared else PIPE_BUF
        finally:
            if locked:
                with suppress(OSError):
                    fcntl.lockf(self.descriptor, fcntl.LOCK_UN, 1)

    def _lock(self) -> bool:
        """Poll for the lock: if the log waited for it, the system might refuse one of the app's locks as a deadlock.

        The descriptor may change between two attempts, when the process redirects stdout into pipes.
        """
        assert self.descriptor is not None
        pause = LOCK_SECONDS / 16
        while True:
            try:
                fcntl.lockf(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
                return True
            except (BlockingIOError, PermissionError):  # POSIX allows either for a lock that another process holds
                time.sleep(pause)
                pause = min(2 * pause, LOCK_SECONDS)
            except OSError:
                return False  # a file system without locks

    def _write(self, pack: bytes) -> None:
        assert self.descriptor is not None
        written = 0
        try:
            while written < len(pack):
                written += self._some(pack[written:] if written else pack)
        except OSError:
            raise Torn(self._without_the_torn_line(pack[:written])) from None

    def _some(self, data: bytes) -> int:
        """Write a part; wait until writable if another program has made the shared descriptor non-blocking."""
        assert self.descriptor is not None
        try:
            count = os.write(self.descriptor, data)
        except BlockingIOError:
            ready = select.poll()
            ready.register(self.descriptor, select.POLLOUT)
            ready.poll()
            return 0
        self.written += count
        return count

    def _without_the_torn_line(self, written: bytes) -> int:
        """Remove an incomplete line from a file on a full disk; return the bytes of the whole lines before it."""
        torn = len(written) - written.rfind(b"\n") - 1
        if torn and self.descriptor is not None:
            with suppress(OSError):
                end = os.lseek(self.descriptor, 0, os.SEEK_CUR) - torn
                os.ftruncate(self.descriptor, end)
                os.lseek(self.descriptor, end, os.SEEK_SET)
        return len(written) - torn


class Torn(Exception):
    """Only a part of a pack was written."""

    def __init__(self, whole_bytes: int) -> None:
        super().__init__(whole_bytes)
        self.whole_bytes = whole_bytes


def packs(data: bytes, most: int) -> Iterator[bytes]:
    """Yield packs of whole lines of at most `most` bytes; a longer line is a pack of its own."""
    start = 0
    while len(data) - start > most:
        end = data.rfind(b"\n", start, start + most) + 1 or data.find(b"\n", start + most) + 1 or len(data)
        yield data[start:end]
        start = end
    if start < len(data):
        yield data[start:]
