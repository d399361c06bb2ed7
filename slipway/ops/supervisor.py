"""Supervisor, which keeps the local runtime's programs alive, controlled by XML-RPC on its unix socket.

Pids always come from supervisor, never from a pid file, whose number may belong to another program by now.
http://supervisord.org/api.html
"""

import os
import resource
import select
import subprocess
import xmlrpc.client
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.ops import rpc, wait
from slipway.ops.console import Failure
from slipway.ops.leftovers import MARK
from slipway.ops.supervised import CONFIGURATION, LOG, SOCKET, Files, Program

ALIVE = {"STARTING", "RUNNING", "BACKOFF", "STOPPING"}
ENDING = 0  # instead of a pid: a supervisor that shuts down refuses every call, getPID too
START_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class ProgramState:
    """A program's state, as supervisor reports it."""

    name: str
    state: str
    """STOPPED, STARTING, RUNNING, BACKOFF, STOPPING, EXITED or FATAL."""
    pid: int
    exit_code: int
    started: int
    """The start time of its process, in seconds since 1970."""
    description: str

    @property
    def alive(self) -> bool:
        """Whether it has a process, or soon will."""
        return self.state in ALIVE


class Supervisor:
    """The supervisord of one folder, running or not, reached by its socket there."""

    def __init__(self, folder: Path, root: Path) -> None:
        self._folder = folder
        self._files = Files(folder, root)
        self._socket = folder / SOCKET

    def runs(self) -> bool:
        """Whether it answers."""
        return self._pid() is not None

    def is_ending(self) -> bool:
        """Whether it is shutting down and still waits for programs to end."""
        return self._pid() == ENDING

    def states(self) -> dict[str, ProgramState]:
        """Return the programs by name; none if supervisor does not answer."""
        try:
            found = rpc.call(self._socket, "supervisor.getAllProcessInfo")
        except (OSError, xmlrpc.client.Fault):
            return {}
        states = [
            ProgramState(one["name"], one["statename"], one["pid"], one["exitstatus"], one["start"], one["description"])
            for one in found
        ]
        return {state.name: state for state in states}

    def start_daemon(self, binaries: Path, environment: Mapping[str, str]) -> None:
        """Start supervisord without any program, with the hard limit of open files."""
        self._files.clear()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # inherited; each connection is an open file
        # not by the script's #! line, which can't name an interpreter whose path has a space or a quote
        command = [str(binaries / "python"), str(binaries / "supervisord"), "-c", str(self._folder / CONFIGURATION)]
        marked = {**environment, MARK: str(self._folder)}
        done = subprocess.run(command, env=marked, cwd=self._folder, capture_output=True, text=True)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if done.returncode or not wait.until(self.runs, START_SECONDS):
            said = (done.stdout + done.stderr).strip() or f"its log is {self._folder / LOG}"
            raise Failure(f"supervisor did not start: {said}")

    def put(self, program: Program) -> None:
        """Add a program, or replace one of the same name that has ended."""
        self._files.put(program)
        if program.name in self.states():
            self._call("removeProcessGroup", program.name)
        self._call("reloadConfig")
        self._call("addProcessGroup", program.name)

    def has(self, program: Program) -> bool:
        """Whether the program is there with this command and environment."""
        return self._files.has(program)

    def start(self, name: str) -> None:
        """Begin to start a program; `states` shows the result."""
        self._call("startProcess", name, False)

    def stop(self, name: str) -> ProgramState:
        """Stop a program and wait until it has ended; return its last state."""
        state = self.states()[name]
        if state.alive:
            with suppress(Failure):  # it has ended meanwhile
                self._call("stopProcess", name, False)
            wait.until(lambda: not self.states()[name].alive, self._files.stop_seconds(name) + 5)
        return self.states()[name]

    def remove(self, name: str) -> None:
        """Remove a program that has ended."""
        self._files.remove(name)
        self._call("removeProcessGroup", name)
        self._call("reloadConfig")

    def signal(self, name: str, number: str) -> None:
        """Send a program a signal, such as HUP."""
        self._call("signalProcess", name, number)

    def shutdown(self, seconds: float) -> bool:
        """End all programs, then supervisor itself; return whether it has ended in time."""
        pid = self._pid()
        if pid is None or pid == ENDING:
            return wait.until(lambda: not self.runs(), seconds)
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            return True

        def has_ended() -> bool:
            self._pid()  # a call has supervisor reap ended programs now, not within a second
            return bool(select.select([process], [], [], 0)[0])

        try:
            self._call("shutdown")
            ended = wait.until(has_ended, seconds)
        finally:
            os.close(process)
        self._socket.unlink(missing_ok=True)
        return ended

    def _pid(self) -> int | None:
        try:
            return int(rpc.call(self._socket, "supervisor.getPID"))
        except xmlrpc.client.Fault:
            return ENDING
        except OSError:
            return None

    def _call(self, method: str, *arguments: Any) -> Any:
        """Call a method; raise OSError if supervisor does not answer, Failure if it refuses."""
        try:
            return rpc.call(self._socket, f"supervisor.{method}", *arguments)
        except xmlrpc.client.Fault as fault:
            raise Failure(f"supervisor refuses {method} {' '.join(map(str, arguments))}: {fault.faultString}") from None
