"""A command that must succeed before a reload goes on; it does not block the arbiter's loop."""

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

# The arbiter reaps every child, so the exit code of a check would be lost. This wrapper runs the command as its own
# child, at the lowest priority since workers serve meanwhile, and writes the exit code as the last line. On SIGABRT
# only the command writes its stack (-I makes the wrapper ignore PYTHONFAULTHANDLER): two stacks in one file would be
# mixed up.
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

ABORT_SECONDS = 1.0  # for a hanging program to write its stack after SIGABRT


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
        self._folder = folder  # the command's working directory; None: ours
        self._seconds = seconds or float("inf")
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._aborted = False

    def failure(self) -> str | None:
        """Start the command if needed; return None while it runs, then the reason of its failure, empty on success."""
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
        """Kill the command and its process group."""
        if self._process is None or self._output.closed:
            return
        if self._process.poll() is None or self._aborted:
            self._abort(signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(1)  # at most 1 s: a process that is stuck in the kernel is left behind
            self._output.close()

    def _abort(self, number: int) -> None:
        """Signal the process group; on SIGABRT a Python program writes its stack and ends."""
        assert self._process is not None
        self._aborted = True
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _hung(self) -> str | None:
        """Return the failure, with the line where the command hung; None while that is awaited, for ABORT_SECONDS."""
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
        except (OSError, ValueError) as error:  # no memory, a removed folder, an invalid argument
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
