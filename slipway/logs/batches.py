"""Collects lines for a moment and writes them in batches from a thread.

`write` never raises, and blocks only at exit (LATE_SECONDS). When stdout accepts nothing (an unread pipe, a full disk),
lines are kept up to MAX_PENDING and dropped above it; one record says how many as soon as a write succeeds again.
"""

import queue
import threading
import time
from contextlib import suppress

from slipway.logs import pending
from slipway.logs.output import Output
from slipway.logs.pending import Make, Render
from slipway.logs.threads import start_thread

MAX_PENDING = 1024 * 1024  # bytes of waiting lines; a blocked write may hold as many again
BATCH_SECONDS = 0.05  # the first line is written at once, those that follow are collected for this long
HURRY = 256 * 1024  # pending bytes that are written before BATCH_SECONDS have passed
AGAIN_SECONDS = 5.0  # after a failed write without new lines, until the dropped ones are reported
EXIT_SECONDS = 0.5  # at exit, for a stdout that accepts nothing
SLOW_SECONDS = 3.0  # at exit, for a slow one
LATE_SECONDS = 0.1  # for each line that is logged after the exit handlers

NEVER = MAX_PENDING + 1
Answer = queue.SimpleQueue[None]


class Writer:
    """A bounded list of lines and the thread that writes them. A forked process starts without both."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._render: Render | None = None
        self.reset()

    def reset(self) -> None:
        """Drop the pending lines, which the parent process writes, and the thread, which a fork does not copy."""
        # Lock and queue are reentrant: a signal handler may log while it interrupts these methods.
        self._lock = threading.RLock()
        self._wakes: queue.SimpleQueue[Answer | None] = queue.SimpleQueue()
        self.dropped = 0  # lines lost in total
        self._pending: list[bytes | Make] = []
        self._size = 0
        self._dropped = 0
        self._wake_at = 0  # pending bytes at which the thread is woken
        self._ending = False
        self._thread: threading.Thread | None = None

    def write(self, lines: bytes) -> None:
        """Queue one or more lines, with their newlines, for stdout. Blocks only at exit, for LATE_SECONDS at most."""
        self._take(lines, len(lines))

    def write_later(self, make: Make) -> None:
        """Have the thread call `make`, which returns lines or b"". Once called, it may be queued again."""
        self._take(make, 0)

    def _take(self, lines: bytes | Make, size: int) -> None:
        with self._lock:
            size += self._size
            if size > MAX_PENDING and isinstance(lines, bytes):
                lost = lines.count(b"\n")
                self._dropped += lost
                self.dropped += lost
                return
            self._pending.append(lines)
            self._size = size
            if size < self._wake_at:
                return
            self._wake_at = NEVER
        self._wake()

    def flush(self, seconds: float = EXIT_SECONDS) -> bool:
        """Wait at most `seconds` until all lines are written or lost; return whether they are."""
        answer: Answer = queue.SimpleQueue()
        if self._runs():
            self._wakes.put(answer)
            with suppress(queue.Empty):
                answer.get(timeout=seconds)
                return True
        return False

    def redirect(self, descriptor: int) -> None:
        """Write to this descriptor from now on."""
        self._output.descriptor = descriptor

    def render(self, how: Render | None) -> None:
        """Write each line as `how` renders it, also in processes forked later; None: unchanged."""
        self._render = how

    def end(self) -> None:
        """Write all pending lines, and from now on each line at once: the process exits."""
        with self._lock:
            self._ending, self._wake_at = True, 0
            idle = not self._pending and self._thread is None
        deadline = time.monotonic() + SLOW_SECONDS
        written = -1
        while not idle and written != self._output.written and time.monotonic() < deadline:
            written = self._output.written
            idle = self.flush()

    def _wake(self) -> None:
        if not self._runs():
            with self._lock:
                self._wake_at = 0  # the next line tries again
        elif self._ending:
            self.flush(LATE_SECONDS)
        else:
            self._wakes.put(None)

    def _runs(self) -> bool:
        """Start the thread if it does not run; return whether it runs."""
        with self._lock:
            if self._thread is None:
                try:
                    self._thread = start_thread(self._run, "log")
                except (RuntimeError, MemoryError):  # no thread or memory available
                    return False
            return True

    def _run(self) -> None:
        answer = self._wakes.get()
        while True:
            written = self._put()
            if answer is not None:
                answer.put(None)
            try:
                answer = self._wakes.get(timeout=BATCH_SECONDS)
            except queue.Empty:
                answer = self._sleep(None if written else AGAIN_SECONDS)

    def _sleep(self, seconds: float | None) -> Answer | None:
        """Wait for a line if none is pending."""
        with self._lock:
            if self._pending:
                return None
            self._wake_at = 0
        try:
            return self._wakes.get(timeout=seconds)
        except queue.Empty:
            return None

    def _put(self) -> bool:
        """Write all lines and the number of dropped ones; return whether that succeeded."""
        while True:
            with self._lock:
                lines, self._pending, self._size = self._pending, [], 0
                dropped, self._dropped = self._dropped, 0
                self._wake_at = 0 if self._ending else HURRY
            if dropped:
                lines.append(pending.told(dropped))
            data = pending.joined(lines, self._render)
            lost = self._output.put(data) if data else 0
            if lost > 0:
                with self._lock:
                    # The record of dropped lines comes last, so it is lost too.
                    self._dropped += dropped + lost - bool(dropped)
                    self.dropped += lost - bool(dropped)
                return False
            if not self._dropped:
                return True
