"""Redirects descriptors 1 and 2 of the stack's processes into pipes; the arbiter turns their lines into records.

This covers programs that the app or PRESTART runs, C libraries, and the interpreter itself. Output of Python code
(logging, print) does not pass through the pipes.
"""

import atexit
import os
import select
import sys
from contextlib import suppress
from dataclasses import dataclass, field

from slipway.logs import writer
from slipway.logs.streams import Stream
from slipway.logs.threads import start_thread

READ = 64 * 1024  # bytes
PART_SECONDS = 0.2  # to wait for the rest of a line; its program may have ended


@dataclass
class CapturedDescriptor:
    """One descriptor, a copy of the original, and the read end of the pipe that has replaced it."""

    number: int
    before: int
    pipe: int
    stream: Stream


@dataclass
class Descriptors:
    """The captured descriptors. Workers inherit and write to the pipes; only the arbiter reads them."""

    captured: list[CapturedDescriptor] = field(default_factory=list)

    def take(self) -> None:
        """Redirect stdout and stderr into pipes, and the log to the original stdout. A missing stream is skipped."""
        if sys.__stdout__ is not None:
            before = os.dup(sys.__stdout__.fileno())
            writer.redirect(before)
            writer.flush()  # a record under way must not enter the pipe, which would make another record of it
            self._take(sys.__stdout__.fileno(), before, "INFO", "stdout")
        if sys.__stderr__ is not None:
            self._take(sys.__stderr__.fileno(), os.dup(sys.__stderr__.fileno()), "ERROR", "stderr")
        if self.captured:
            atexit.register(self.finish)
            start_thread(self._pump, "descriptors")

    def give_back(self) -> None:
        """Restore the original descriptors for the program that replaces this one (SIGUSR2)."""
        for each in self.captured:
            os.dup2(each.before, each.number)

    def forget(self) -> None:
        """Close the read ends in a forked process, so that its writes fail, not block, once the arbiter is gone."""
        for each in self.captured:
            with suppress(OSError):
                os.close(each.pipe)
            each.stream.forget()
        atexit.unregister(self.finish)

    def finish(self) -> None:
        """Make records of the remaining output: at exit, and when a program has ended."""
        for each in self.captured:
            self._read(each)
            each.stream.end_line()

    def _take(self, number: int, before: int, level: str, logger: str) -> None:
        pipe, end = os.pipe()
        os.set_blocking(pipe, False)
        os.dup2(end, number)
        os.close(end)
        self.captured.append(CapturedDescriptor(number, before, pipe, Stream(level, logger, None)))

    def _pump(self) -> None:
        ready = select.poll()
        for each in self.captured:
            ready.register(each.pipe, select.POLLIN)
        while True:
            with suppress(Exception):  # no memory; without this reader, programs would block in their writes
                self._wait_and_read(ready)

    def _wait_and_read(self, ready: select.poll) -> None:
        open_lines = any(each.stream.has_part for each in self.captured)
        pipes = {pipe for pipe, _ in ready.poll(PART_SECONDS * 1_000 if open_lines else None)}
        for each in self.captured:
            if each.pipe in pipes:
                self._read(each)
            elif not pipes:
                each.stream.end_line()

    def _read(self, each: CapturedDescriptor) -> None:
        with suppress(OSError):  # empty, or closed
            while data := os.read(each.pipe, READ):
                each.stream.write(data)
