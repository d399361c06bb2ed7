"""The app's one process under `make dev`: begun on a listener that it inherits, heard once, and ended."""

import os
import select
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from slipway.ops.settings import ROOT

STOP_SECONDS = 3.0  # for a process that stands at a breakpoint, too


class AppProcess:
    """One process after another, at most one at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._report = -1  # a descriptor, until the process has said whether it is ready

    def begin(self, python: Path, environment: Mapping[str, str], listener: int) -> None:
        """Start it; it has the terminal."""
        self._report, report = os.pipe()
        command = [str(python), "-m", "slipway.serving.development", str(listener), str(report)]
        self._process = subprocess.Popen(command, cwd=ROOT, env=environment, pass_fds=(listener, report))
        os.close(report)

    def report(self) -> str | None:
        """What it reports: "ready", or why it is not; once is enough, so None before that and after it."""
        if self._report < 0 or not select.select([self._report], [], [], 0)[0]:
            return None
        text = os.read(self._report, 1 << 16).decode(errors="replace").strip()
        self._forget_report()
        return text

    def end(self) -> None:
        """Stop it, if there is one."""
        if self._process is not None:
            stop(self._process, signal.SIGTERM)
            self._process = None
        self._forget_report()

    def _forget_report(self) -> None:
        if self._report >= 0:
            os.close(self._report)
            self._report = -1


def stop(process: "subprocess.Popen[bytes]", number: int) -> None:
    """End a process within bounded time."""
    process.send_signal(number)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
        return
    process.kill()
    process.wait()
