"""The processes of the local runtime: starts, finds and ends them; local.py has the verbs."""

import subprocess
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from slipway.ops import leftovers, nginx, nginx_text, readiness, wait
from slipway.ops.console import NOTHING_RUNS, Failure, step
from slipway.ops.instance import Instance
from slipway.ops.programs import APPS, Programs
from slipway.ops.remembered import Remembered
from slipway.ops.settings import ROOT, StackSettings
from slipway.ops.supervisor import Supervisor

NGINX_SECONDS = 20.0  # until nginx answers, in addition to TIMEOUT


class LocalProcesses:
    """All programs of one stack."""

    def __init__(self, settings: StackSettings, stop_seconds: int) -> None:
        self.run = settings.run_dir
        self.settings = settings
        self.stop_seconds = stop_seconds
        self.supervisor = Supervisor(self.run, ROOT)
        self.remembered = Remembered(self.run)
        self.programs = Programs(self.run, stop_seconds)

    def alive(self) -> set[str]:
        """Return the names of the programs that have a process or will have one soon."""
        return {name for name, state in self.supervisor.states().items() if state.alive}

    def instance(self, name: str, venv: Path | None = None) -> Instance:
        """Return a server by its name; `venv` defaults to the environment in use."""
        binaries = venv or (self.run / "venv").resolve() / "bin"
        return Instance(name, self.supervisor, self.programs, self.settings, binaries)

    def environment(self, venv: Path) -> Mapping[str, str]:
        """Return the environment of a command for the app."""
        return self.programs.environment(APPS[0], self.settings, venv)

    def in_service(self) -> Instance:
        """Return the app server that nginx's links point to; Failure with exit code 3 when none runs."""
        running = [name for name in APPS if name in self.alive()]
        if not running:
            raise Failure("the stack does not run; `make up` starts it", NOTHING_RUNS)
        link = self.programs.sockets(running[0]) / "slot-0.sock"
        linked = link.readlink().name.removesuffix("-0.sock") if link.is_symlink() else ""
        return self.instance(linked if linked in running else running[0])

    def start(self, names: Collection[str], venv: Path) -> None:
        """Start programs and wait until each is ready."""
        if not names:
            return
        (self.run / "data").mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.supervisor.runs():
            with step("supervisor"):
                self.supervisor.start_daemon(venv, self.settings.inherited)
        with step("workers"):
            for name in names:
                if not name.endswith("nginx"):
                    self.start_server(name, venv)
        with step("nginx"):
            for name in names:
                if name.endswith("nginx"):
                    self.supervisor.put(self.programs.proxy(name, venv, self.settings))
                    self.supervisor.start(name)
            self.await_ready()

    def start_server(self, name: str, venv: Path) -> Instance:
        """Start an app server with the current settings, and wait until all its workers are ready."""
        self.remembered.put(self.settings, name)
        server = self.instance(name, venv)
        self.supervisor.put(self.programs.server(name, venv, self.settings, self.remembered.path(name)))
        server.start()
        server.await_ready(self.settings.timeout)
        return server

    def await_ready(self) -> None:
        """Wait until the stack answers its clients."""
        for url in [self.settings.url, *([self.settings.baseline_url] if self.settings.baseline else [])]:
            readiness.await_ready(self.settings, url, NGINX_SECONDS + self.settings.timeout)

    def app_serves(self) -> bool:
        """Whether a running app server has become ready; one whose starts fail does not count."""
        return any(name in self.alive() and self.instance(name).is_ready() for name in APPS)

    def keep(self, old: Instance, instead_of: str) -> None:
        """After a failed deploy, point nginx's links back to the old server, then stop the new one."""
        with suppress(Failure):  # the old one has ended meanwhile
            old.ctl("publish", quiet=True)
        self.undo([instead_of])

    def remove_servers(self, but: str = "") -> None:
        """Stop and remove all app servers except `but`: those of an interrupted deploy, or the predecessor."""
        for name in APPS:
            if name != but and name in self.supervisor.states():
                self.supervisor.stop(name)
                self.supervisor.remove(name)

    def stop_servers(self) -> None:
        """Stop all running app servers."""
        for name in APPS:
            if name in self.alive():
                self.supervisor.stop(name)

    def undo(self, started: Collection[str]) -> None:
        """Stop the programs that a failed start has started, and supervisor if it has no others."""
        for name in started:
            if name in self.supervisor.states():
                self.supervisor.stop(name)
                self.supervisor.remove(name)
        if not self.supervisor.states():
            self.supervisor.shutdown(self.stop_seconds)

    def end_leftovers(self) -> None:
        """End the processes of a killed supervisor; wait for one that is shutting down."""
        if self.supervisor.is_ending():
            with step("waiting for an earlier stop"):
                self.supervisor.shutdown(self.stop_seconds + 15)
        if not self.supervisor.runs() and leftovers.leftovers(self.run):
            with step("ending what a killed supervisor has left"):
                leftovers.end(self.run, self.stop_seconds)

    def check_ports(self, names: Collection[str]) -> None:
        """Raise Failure for an address that nginx could not bind, with the reason."""
        ports = {
            "nginx": self.settings.public_ports,
            "baseline-nginx": {"BASELINE_PORT": self.settings.baseline_port},
        }
        for name in names:
            for setting, port in ports.get(name, {}).items():
                if problem := wait.obstacle(self.settings.host, port):
                    raise Failure(f"{setting}={port} on {self.settings.host} {problem}")

    def refresh_nginx(self) -> None:
        """Write nginx's configuration and reload nginx if it has changed; restore the old one if nginx rejects it."""
        paths = [self.run / "nginx" / name for name in (*nginx_text.templates(), *nginx.WRITTEN)]
        before = [path.read_text() if path.exists() else "" for path in paths]
        command = self.programs.nginx("nginx", self.settings)
        if [path.read_text() for path in paths] == before:
            return
        with step("nginx"):
            test = subprocess.run([*command, "-t", "-q"], capture_output=True, text=True)
            if test.returncode:
                for path, text in zip(paths, before, strict=True):
                    path.write_text(text)
                raise Failure(f"the app has the new settings, but nginx can't take them:\n{test.stderr}")
            self.supervisor.signal("nginx", "HUP")
