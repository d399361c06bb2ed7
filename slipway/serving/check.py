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
from slipway.tracebacks import one_line

# The arbiter reaps every child, so the exit code of a check would be lost to it; this runs the command as a child of
# its own and writes the code as the last line. With the lowest priority, since workers serve meanwhile.
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

    def failure(self) -> str | None:
        """Start it if it was not; None while it runs, then the reason of its failure, empty if it has succeeded."""
        if not self._command:
            return ""
        if self._process is None:
            return self._start()
        elif self._process.poll() is not None:
            return self._result()
        elif self._clock.now() > self._deadline:
            self.kill()
            return f"the check of the new code hangs: {' '.join(self._command)}"
        return None

    def kill(self) -> None:
        """End it and all that it has started."""
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(1)  # a second at most: one that the kernel holds is left to it
            self._output.close()

    def _start(self) -> str | None:
        self._deadline = self._clock.now() + self._seconds
        try:
            self._output = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the check)
        except OSError as error:
            return f"the check of the new code can't be started: {error}"
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", RUN, *self._command],
                cwd=self._folder,
                env=self._environment,
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
