"""Supervisor keeps the local runtime's programs alive; it is asked by XML-RPC on its unix socket.

Who runs is always asked there and never read from a pid file, whose number may belong to another program by now.
http://supervisord.org/api.html
"""

import http.client
import os
import resource
import select
import shlex
import shutil
import socket
import subprocess
import xmlrpc.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slipway.ops import wait
from slipway.ops.report import Failure

ANSWER_SECONDS = 30.0  # for one call; starts and stops are begun by a call and then watched
# No path stands in the file: in it % begins a reference, " ;" a comment, and quotes mean nothing. Paths come from the
# environment that supervisord is started with, and each program is a start script of its own.
DAEMON = """\
[supervisord]
pidfile=%(ENV_SLIPWAY_RUN_DIR)s/supervisord.pid
logfile=%(ENV_SLIPWAY_RUN_DIR)s/log/supervisord.log
logfile_maxbytes=1MB
childlogdir=%(ENV_SLIPWAY_RUN_DIR)s/log
minfds=256
umask=077

[unix_http_server]
file=%(ENV_SLIPWAY_RUN_DIR)s/supervisor.sock
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""

SECTION = """
[program:{name}]
command=sh %(ENV_SLIPWAY_RUN_DIR_QUOTED)s/programs/{name}.sh
directory=%(ENV_SLIPWAY_ROOT)s
autostart=false
autorestart=true
startsecs=1
stopsignal={stop_signal}
stopwaitsecs={stop_seconds}
killasgroup=true
redirect_stderr=true
stdout_logfile=%(ENV_SLIPWAY_RUN_DIR)s/log/{name}.log
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=2
"""
ALIVE = {"STARTING", "RUNNING", "BACKOFF", "STOPPING"}


@dataclass(frozen=True, slots=True)
class Program:
    """A program to keep alive; `stop_seconds` after its stop signal it is killed."""

    name: str
    command: Sequence[str]
    stop_signal: str
    stop_seconds: int
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class State:
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
        self._root = root
        self._socket = folder / "supervisor.sock"
        self._configuration = folder / "supervisord.conf"
        self._programs = folder / "programs"

    def runs(self) -> bool:
        """Whether it answers."""
        return self._pid() is not None

    def states(self) -> dict[str, State]:
        """The programs by name; none where supervisor does not answer."""
        try:
            found = self._call("getAllProcessInfo")
        except OSError:
            return {}
        states = [
            State(one["name"], one["statename"], one["pid"], one["exitstatus"], one["start"], one["description"])
            for one in found
        ]
        return {state.name: state for state in states}

    def start_daemon(self, executable: Path, environment: Mapping[str, str]) -> None:
        """Start supervisord without any program, with as many open files as the machine allows."""
        shutil.rmtree(self._programs, ignore_errors=True)
        for folder in (self._programs, self._folder / "log"):
            folder.mkdir(parents=True, exist_ok=True)
        self._write()
        paths = {
            "SLIPWAY_ROOT": str(self._root),
            "SLIPWAY_RUN_DIR": str(self._folder),
            "SLIPWAY_RUN_DIR_QUOTED": shlex.quote(str(self._folder)),
        }
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # inherited; a connection is a file
        command = [str(executable), "-c", str(self._configuration)]
        done = subprocess.run(command, env={**environment, **paths}, cwd=self._root, capture_output=True, text=True)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if done.returncode or not wait.until(self.runs, 10):
            raise Failure(f"supervisor did not start: {(done.stdout + done.stderr).strip()}")

    def put(self, program: Program) -> None:
        """Add a program that is not there, or one with another command in the place of one that has ended."""
        variables = [f"export {name}={shlex.quote(value)}\n" for name, value in program.environment.items()]
        script = "".join(["#!/bin/sh\n", *variables, f"exec {shlex.join(program.command)}\n"])
        (self._programs / f"{program.name}.sh").write_text(script)
        section = SECTION.format(name=program.name, stop_signal=program.stop_signal, stop_seconds=program.stop_seconds)
        (self._programs / f"{program.name}.conf").write_text(section)
        self._write()
        if program.name in self.states():
            self._call("removeProcessGroup", program.name)
        self._call("reloadConfig")
        self._call("addProcessGroup", program.name)

    def start(self, name: str) -> None:
        """Begin to start it; watch `states` for what becomes of it."""
        self._call("startProcess", name, False)

    def stop(self, name: str) -> State:
        """Stop it and wait until it has ended."""
        state = self.states()[name]
        if state.alive:
            self._call("stopProcess", name, False)
            wait.until(lambda: not self.states()[name].alive, self._stop_seconds(name) + 5)
        return self.states()[name]

    def remove(self, name: str) -> None:
        """Forget a program that has ended."""
        for suffix in ("sh", "conf"):
            (self._programs / f"{name}.{suffix}").unlink(missing_ok=True)
        self._write()
        self._call("removeProcessGroup", name)
        self._call("reloadConfig")

    def signal(self, name: str, number: str) -> None:
        """Send a signal, such as HUP."""
        self._call("signalProcess", name, number)

    def shutdown(self, seconds: float) -> bool:
        """End all programs, then supervisor itself; whether it has ended in time."""
        pid = self._pid()
        if pid is None:
            return True
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        try:
            self._call("shutdown")
            ended, _, _ = select.select([process], [], [], seconds)
        finally:
            os.close(process)
        self._socket.unlink(missing_ok=True)
        return bool(ended)

    def _write(self) -> None:
        sections = [path.read_text() for path in sorted(self._programs.glob("*.conf"))]
        self._configuration.write_text(DAEMON + "".join(sections))

    def _pid(self) -> int | None:
        try:
            return int(self._call("getPID"))
        except OSError:
            return None

    def _stop_seconds(self, name: str) -> int:
        lines = (self._programs / f"{name}.conf").read_text().splitlines()
        return next((int(line.partition("=")[2]) for line in lines if line.startswith("stopwaitsecs=")), 10)

    def _call(self, method: str, *arguments: Any) -> Any:
        """Call `supervisor.METHOD`; OSError when supervisor does not answer."""
        server = xmlrpc.client.ServerProxy("http://supervisor", transport=_Transport(self._socket))
        try:
            return getattr(server.supervisor, method)(*arguments)
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error


class _Transport(xmlrpc.client.Transport):
    """XML-RPC over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        return _Connection(self._path)


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("supervisor", timeout=ANSWER_SECONDS)
        self._path = path

    def connect(self) -> None:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(ANSWER_SECONDS)
        try:
            connection.connect(str(self._path))
        except OSError:
            connection.close()
            raise
        self.sock = connection
