"""A command that must succeed before a reload goes on, run beside the arbiter's loop."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress

from slipway.logs.lines import record
from slipway.logs.writer import write
from slipway.project import ROOT
from slipway.serving.clock import RunningClock
from slipway.serving.result import STANDS
from slipway.tracebacks import innermost, one_line

# The arbiter reaps every child, so the exit code of a check would be lost to it; this runs the command as a child of
# its own and writes the code as the last line. With the lowest priority, since workers serve meanwhile. When both are
# told to abort, the command alone writes where it stands (-I leaves PYTHONFAULTHANDLER to it): two stacks at a time in
# one file are mixed up.
RUN = """
import os, subprocess, sys
os.nice(19)
try:
    code = subprocess.run(sys.argv[1:]).returncode
except (OSError, ValueError) as error:
    print(error)
    code = 127
print('', code, sep='\\n')
"""

ABORT_SECONDS = 1.0  # in which a program that hangs writes where


class Check:
    """One command; an empty one succeeds."""

    def __init__(
        self,
        command: Sequence[str],
        folder: str | None,
        environment: Mapping[str, str],
        seconds: float,
        clock: RunningClock,
    ) -> None:
        self._command = command
        self._environment = environment
        self._folder = folder  # to run it in; None is the one that we are in
        self._seconds = seconds or float("inf")
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._aborted = False

    def failure(self) -> str | None:
        """Start it if it was not; None while it runs, then the reason of its failure, empty if it has succeeded."""
        if not self._command:
            return ""
        if self._process is None:
            return self._start()
        elif self._aborted:
            return self._hung()
        elif self._process.poll() is not None:
            return self._result()
        elif self._clock.now() > self._deadline:
            self._abort(signal.SIGABRT)
        return None

    def kill(self) -> None:
        """End it and all that it has started."""
        if self._process is None or self._output.closed:
            return
        if self._process.poll() is None or self._aborted:
            self._abort(signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(1)  # a second at most: one that the kernel holds is left to it
            self._output.close()

    def _abort(self, number: int) -> None:
        """Told to abort, a Python program writes where it stands, and ends."""
        assert self._process is not None
        self._aborted = True
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _hung(self) -> str | None:
        """Where it stood; None until it has said so, at most a second."""
        self._output.seek(0)
        place = innermost(self._output.read().decode(errors="replace"), ROOT)
        if not place and self._clock.now() < self._deadline + ABORT_SECONDS:
            return None
        self.kill()
        stands = f" after {self._seconds:g} s (TIMEOUT), and {STANDS} ({place})"
        return f"the check of the new code hangs{stands if place else ': ' + ' '.join(self._command)}"

    def _start(self) -> str | None:
        self._deadline = self._clock.now() + self._seconds
        try:
            self._output = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the check)
        except OSError as error:
            return f"the check of the new code can't be started: {error}"
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-ISc", RUN, *self._command],
                cwd=self._folder,
                env={**self._environment, "PYTHONFAULTHANDLER": "1"},
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:  # no memory, no such folder any more, a value that is none
            self._output.close()
            return f"the check of the new code can't be started: {error}"
        return None

    def _result(self) -> str:
        self._output.seek(0)
        with self._output:
            *lines, code = ["", *self._output.read().decode(errors="replace").split("\n")[:-1]]
        for line in filter(str.strip, lines):
            write(record("INFO", "check", line))
        if code == "0":
            return ""
        said = one_line("\n".join(lines), ROOT)
        return f"{said or 'the check of the new code says nothing'} (exit code {code})"
