"""The files that supervisor reads: its configuration and a start script for each program.

The configuration has no paths, since there % begins a reference, " ;" a comment, and quotes have no meaning. Its names
are relative to supervisord's working directory; the start scripts have the paths, quoted for the shell.
"""

import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SOCKET = "supervisor.sock"
CONFIGURATION = "supervisord.conf"
LOG = "log/supervisord.log"
LONGEST_SUFFIX = len(f"/{SOCKET}.4194304")  # bytes; supervisord first binds its socket under a name with its pid

DAEMON = f"""\
[supervisord]
pidfile=supervisord.pid
logfile={LOG}
logfile_maxbytes=1MB
childlogdir=log
minfds=256
umask=077

[unix_http_server]
file={SOCKET}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""

SECTION = """
[program:{name}]
command=sh programs/{name}.sh
autostart=false
autorestart=true
startsecs=1
stopsignal={stop_signal}
stopwaitsecs={stop_seconds}
killasgroup=true
redirect_stderr=true
stdout_logfile=log/{name}.log
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=2
"""


@dataclass(frozen=True, slots=True)
class Program:
    """A program to keep alive; it is killed `stop_seconds` after its stop signal."""

    name: str
    command: Sequence[str]
    stop_signal: str
    stop_seconds: int
    environment: Mapping[str, str] = field(default_factory=dict)


class Files:
    """The files below one folder; `root` is the programs' working directory."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder = folder
        self._root = root
        self._programs = folder / "programs"

    def clear(self) -> None:
        """Remove all programs and write a configuration without any."""
        shutil.rmtree(self._programs, ignore_errors=True)
        for folder in (self._programs, self.folder / "log"):
            folder.mkdir(parents=True, exist_ok=True)
        self._write_configuration()

    def put(self, program: Program) -> None:
        """Write a program's script and its section."""
        self._script(program.name).write_bytes(self._start(program))
        section = SECTION.format(name=program.name, stop_signal=program.stop_signal, stop_seconds=program.stop_seconds)
        self._section(program.name).write_text(section)
        self._write_configuration()

    def has(self, program: Program) -> bool:
        """Whether the program is there with the same script."""
        script = self._script(program.name)
        return script.exists() and script.read_bytes() == self._start(program)

    def remove(self, name: str) -> None:
        """Remove a program's files."""
        self._script(name).unlink(missing_ok=True)
        self._section(name).unlink(missing_ok=True)
        self._write_configuration()

    def stop_seconds(self, name: str) -> int:
        """Return the seconds after which supervisor kills the program."""
        lines = self._section(name).read_text().splitlines()
        return next((int(line.partition("=")[2]) for line in lines if line.startswith("stopwaitsecs=")), 10)

    def _start(self, program: Program) -> bytes:
        variables = [f"export {name}={shlex.quote(value)}\n" for name, value in program.environment.items()]
        start = [f"cd {shlex.quote(str(self._root))} || exit\n", f"exec {shlex.join(program.command)}\n"]
        return os.fsencode("".join(["#!/bin/sh\n", *variables, *start]))

    def _script(self, name: str) -> Path:
        return self._programs / f"{name}.sh"

    def _section(self, name: str) -> Path:
        return self._programs / f"{name}.conf"

    def _write_configuration(self) -> None:
        sections = [path.read_text() for path in sorted(self._programs.glob("*.conf"))]
        (self.folder / CONFIGURATION).write_text(DAEMON + "".join(sections))
