"""Supervisor keeps the local runtime's programs alive; it is asked by XML-RPC on its unix socket.

Who runs is always asked there and never read from a pid file, whose number may belong to another program by now.
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
ENDING = 0  # in the place of a process id: once it shuts down, supervisor refuses every call, this one too
START_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class ProgramState:
    """What supervisor says of a program."""

    name: str
    state: str
    """STOPPED, STARTING, RUNNING, BACKOFF, STOPPING, EXITED or FATAL."""
    pid: int
    exit_code: int
    started: int
    """When its process was started, in seconds since 1970."""
    description: str

    @property
    def alive(self) -> bool:
        """Whether it has a process, or will have one soon."""
        return self.state in ALIVE


class Supervisor:
    """One supervisord, found by its socket below `folder`, whether it runs or not."""

    def __init__(self, folder: Path, root: Path) -> None:
        self._folder = folder
        self._files = Files(folder, root)
        self._socket = folder / SOCKET

    def runs(self) -> bool:
        """Whether it answers."""
        return self._pid() is not None

    def is_ending(self) -> bool:
        """Whether it was told to shut down, and still has programs to end."""
        return self._pid() == ENDING

    def states(self) -> dict[str, ProgramState]:
        """The programs by name; none where supervisor does not answer."""
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
        """Start supervisord without any program, with as many open files as the machine allows."""
        self._files.clear()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # inherited; a connection is a file
        # not by the script's first line, which can't name an interpreter whose path has a space or a quote
        command = [str(binaries / "python"), str(binaries / "supervisord"), "-c", str(self._folder / CONFIGURATION)]
        marked = {**environment, MARK: str(self._folder)}
        done = subprocess.run(command, env=marked, cwd=self._folder, capture_output=True, text=True)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if done.returncode or not wait.until(self.runs, START_SECONDS):
            said = (done.stdout + done.stderr).strip() or f"its log is {self._folder / LOG}"
            raise Failure(f"supervisor did not start: {said}")

    def put(self, program: Program) -> None:
        """Add a program that is not there, or one with another command in the place of one that has ended."""
        self._files.put(program)
        if program.name in self.states():
            self._call("removeProcessGroup", program.name)
        self._call("reloadConfig")
        self._call("addProcessGroup", program.name)

    def has(self, program: Program) -> bool:
        """Whether it is there with this command and environment."""
        return self._files.has(program)

    def start(self, name: str) -> None:
        """Begin to start it; watch `states` for what becomes of it."""
        self._call("startProcess", name, False)

    def stop(self, name: str) -> ProgramState:
        """Stop it and wait until it has ended."""
        state = self.states()[name]
        if state.alive:
            with suppress(Failure):  # it has ended meanwhile
                self._call("stopProcess", name, False)
            wait.until(lambda: not self.states()[name].alive, self._files.stop_seconds(name) + 5)
        return self.states()[name]

    def remove(self, name: str) -> None:
        """Forget a program that has ended."""
        self._files.remove(name)
        self._call("removeProcessGroup", name)
        self._call("reloadConfig")

    def signal(self, name: str, number: str) -> None:
        """Send a signal, such as HUP."""
        self._call("signalProcess", name, number)

    def shutdown(self, seconds: float) -> bool:
        """End all programs, then supervisor itself; whether it has ended in time."""
        pid = self._pid()
        if pid is None or pid == ENDING:
            return wait.until(lambda: not self.runs(), seconds)
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            return True

        def has_ended() -> bool:
            self._pid()  # asked, supervisor looks after programs that have ended; else it does so once a second
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
        """Call a method; OSError when supervisor does not answer, Failure when it refuses."""
        try:
            return rpc.call(self._socket, f"supervisor.{method}", *arguments)
        except xmlrpc.client.Fault as fault:
            raise Failure(f"supervisor refuses {method} {' '.join(map(str, arguments))}: {fault.faultString}") from None
