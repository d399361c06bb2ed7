"""One app server of the local runtime: starts it, waits until it is ready, and reads its status and metrics."""

import json
import socket
import subprocess
from pathlib import Path
from typing import Any

from slipway.ops import wait
from slipway.ops.console import Failure, say
from slipway.ops.failed_start import first_error, next_step
from slipway.ops.programs import Programs
from slipway.ops.settings import ROOT, StackSettings
from slipway.ops.supervisor import Supervisor
from slipway.serving.result import STANDS

START_SECONDS = 10.0  # for gunicorn itself and PRESTART, in addition to TIMEOUT for a worker's start


class Instance:
    """An app server, running or not, by the name of its program."""

    def __init__(
        self, name: str, supervisor: Supervisor, programs: Programs, settings: StackSettings, venv: Path
    ) -> None:
        self.name = name
        self._supervisor = supervisor
        self._programs = programs
        self._settings = settings
        self._venv = venv
        self._log = programs.run_dir / "log" / f"{name}.log"
        self._status = programs.sockets(name) / f"{name}.json"
        self._log_begins = 0  # bytes; position in the log at which the newest start begins

    def start(self) -> None:
        """Start the server without waiting for it."""
        self._log_begins = self._log.stat().st_size if self._log.exists() else 0
        self._status.unlink(missing_ok=True)  # left by a killed server
        self._supervisor.start(self.name)

    def await_ready(self, timeout: float) -> None:
        """Wait until all workers are ready; Failure with the reason when it ends, or is not ready in time."""
        begun = self._supervisor.states()[self.name].started

        def decided() -> bool:
            state = self._supervisor.states()[self.name]
            return (
                self.is_ready()
                or self._hangs()
                or not state.alive
                or state.state == "BACKOFF"
                or state.started > begun > 0
            )

        wait.until(decided, timeout + START_SECONDS)
        if not self.is_ready():
            raise Failure(self._complaint(self.reason(timeout)))

    def _hangs(self) -> bool:
        """Whether the log says where a start hangs, which it does after TIMEOUT."""
        return STANDS.encode() in self._said()

    def _said(self) -> bytes:
        """Return the log since the newest start."""
        try:
            with self._log.open("rb") as log:
                log.seek(self._log_begins)
                return log.read()
        except OSError:  # no log yet
            return b""

    def is_ready(self) -> bool:
        """Whether all workers have become ready since the start."""
        try:
            return "pid" in self.status()
        except (OSError, ValueError):
            return False

    def status(self) -> dict[str, Any]:
        """Return the content of the server's status file."""
        values: dict[str, Any] = json.loads(self._status.read_text())
        return values

    def metrics(self) -> str:
        """Return the server's metrics, read from its socket without starting a process."""
        path = self._status.with_suffix(".stats")
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(5)
                connection.connect(str(path))
                connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
                answer = connection.makefile("rb").read()
        except OSError as error:
            raise Failure(f"{path} does not answer: {error}") from None
        return answer.partition(b"\r\n\r\n")[2].decode()

    def ctl(self, verb: str, *, quiet: bool = False) -> str:
        """Run a verb of slipway.serving.ctl and return its output; Failure with its reason."""
        environment = self._programs.environment(self.name, self._settings, self._venv)
        command = [str(self._venv / "python"), "-m", "slipway.serving.ctl", verb]
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise Failure(f"{done.stderr.strip()}; what served before still serves")
        if done.stdout.strip() and not quiet:
            say(f"  {done.stdout.strip()}")
        return done.stdout

    def _complaint(self, reason: str) -> str:
        """Return the message of a failed start: the reason and the next step."""
        step = next_step(reason, self._settings.app)
        return f"{self._settings.app} does not start: {reason}\n  {step}\n  The whole log: {self._log}"

    def reason(self, timeout: float) -> str:
        """Return why the newest start failed: the first error of its log."""
        lines = self._said().decode(errors="replace").splitlines()
        return first_error(lines) or f"it was not ready after {timeout:g} s (TIMEOUT) and says nothing"
