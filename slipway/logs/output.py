"""Writes whole lines to a descriptor that other processes write to as well."""

import fcntl
import os
import select
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

PACK = 256 * 1024  # bytes in one write; each has to wait for the interpreter's lock afterwards
PIPE_BUF = select.PIPE_BUF  # pipe(7): so many are never mixed with another process's write, even without a lock
LOCK_SECONDS = 0.016  # the longest pause before a lock is asked for again


@dataclass
class Output:
    """A descriptor for lines; None discards them all."""

    descriptor: int | None
    written: int = 0  # bytes, by which a slow reader differs from none

    def put(self, lines: bytes) -> int:
        """Write all lines; return how many were lost, which are always the last ones. May block; raises nothing."""
        written = 0
        try:
            with self._alone() as most:
                for pack in packs(lines, most):
                    self._write(pack)
                    written += len(pack)
            return 0
        except Torn as torn:
            written += torn.whole_bytes
        except Exception:  # no space, no reader, no descriptor, no memory: the count is all that can be kept
            pass
        return lines.count(b"\n", written)

    @contextmanager
    def _alone(self) -> Iterator[int]:
        """Keep other processes of the stack out, so that no line is cut by theirs; yields how much may be one write.

        The lock lies on the pipe itself, so there is no file to agree on, and the system frees it when its holder dies.
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
        """Ask again and again: a process that waits for a lock may have one of the app's refused as a deadlock.

        The descriptor may be another one by then: the process has taken stdout for pipes.
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
        """Write a part; wait where another program has made the descriptor non-blocking for all."""
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
        """Take a line that was begun back off a file whose disk is full; return the bytes of whole lines that stay."""
        torn = len(written) - written.rfind(b"\n") - 1
        if torn and self.descriptor is not None:
            with suppress(OSError):
                end = os.lseek(self.descriptor, 0, os.SEEK_CUR) - torn
                os.ftruncate(self.descriptor, end)
                os.lseek(self.descriptor, end, os.SEEK_SET)
        return len(written) - torn


class Torn(Exception):
    """A pack could be written in part only."""

    def __init__(self, whole_bytes: int) -> None:
        super().__init__(whole_bytes)
        self.whole_bytes = whole_bytes


def packs(data: bytes, most: int) -> Iterator[bytes]:
    """Whole lines of up to so many bytes together; a longer line is a pack of its own."""
    start = 0
    while len(data) - start > most:
        end = data.rfind(b"\n", start, start + most) + 1 or data.find(b"\n", start + most) + 1 or len(data)
        yield data[start:end]
        start = end
    if start < len(data):
        yield data[start:]
