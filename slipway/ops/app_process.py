"""The app's one process under `make dev`: it inherits a listener, and reports once whether it is ready."""

import os
import select
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from slipway.ops.settings import ROOT

STOP_SECONDS = 3.0  # before SIGKILL; a process may stand at a breakpoint


class AppProcess:
    """The current process, at most one at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._report = -1  # a descriptor, until the report is read

    def begin(self, python: Path, environment: Mapping[str, str], listener: int) -> None:
        """Start a process, which has the terminal."""
        self._report, report = os.pipe()
        command = [str(python), "-m", "slipway.serving.development", str(listener), str(report)]
        self._process = subprocess.Popen(command, cwd=ROOT, env=environment, pass_fds=(listener, report))
        os.close(report)

    def report(self) -> str | None:
        """Return the process's report once: "ready" or the reason of a failure; None before and after."""
        if self._report < 0 or not select.select([self._report], [], [], 0)[0]:
            return None
        text = os.read(self._report, 1 << 16).decode(errors="replace").strip()
        self._forget_report()
        return text

    def end(self) -> None:
        """Stop the process, if there is one."""
        if self._process is not None:
            stop(self._process, signal.SIGTERM)
            self._process = None
        self._forget_report()

    def _forget_report(self) -> None:
        if self._report >= 0:
            os.close(self._report)
            self._report = -1


def stop(process: "subprocess.Popen[bytes]", number: int) -> None:
    """Send a process a signal, and kill it if it has not ended after STOP_SECONDS."""
    process.send_signal(number)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
        return
    process.kill()
    process.wait()
