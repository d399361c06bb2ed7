"""The operations of `make prove` on a running stack, in either runtime."""

import math
from typing import Protocol

from slipway.ops.containers import AppContainers
from slipway.ops.engine import Engine
from slipway.ops.local_processes import LocalProcesses
from slipway.ops.programs import APPS


class Trials(Protocol):
    """Operations on the workers, the app server and nginx of one stack."""

    stop_seconds: int
    """Seconds that a stop may take."""

    def serving(self) -> list[int]:
        """Return the pids of the workers that are ready and do not drain."""

    def kill_worker(self) -> int:
        """Kill a worker with SIGKILL and return its pid."""

    def stop_app(self) -> int:
        """Stop the app server and return its exit code."""

    def start_app(self) -> None:
        """Start the app server again."""

    def restart_proxy(self) -> None:
        """Stop nginx and start it again."""


class LocalTrials:
    """The operations on local processes."""

    def __init__(self, processes: LocalProcesses) -> None:
        self.stop_seconds = processes.stop_seconds
        self._processes = processes
        self._supervisor = processes.supervisor

    def serving(self) -> list[int]:
        return [int(pid) for pid in self._processes.in_service().status()["serving"]]

    def kill_worker(self) -> int:
        return int(self._processes.in_service().ctl("kill", quiet=True))

    def stop_app(self) -> int:
        return self._supervisor.stop(self._processes.in_service().name).exit_code

    def start_app(self) -> None:
        stopped = self._processes.instance(next(name for name in APPS if name in self._supervisor.states()))
        stopped.start()
        stopped.await_ready(self._processes.settings.timeout)

    def restart_proxy(self) -> None:
        self._supervisor.stop("nginx")
        self._supervisor.start("nginx")


class ComposeTrials:
    """The operations on containers."""

    def __init__(self, engine: Engine, app: AppContainers, stop_grace_period: float) -> None:
        self.stop_seconds = math.ceil(stop_grace_period)
        self._engine = engine
        self._app = app

    def serving(self) -> list[int]:
        return [int(pid) for pid in self._app.status()["serving"]]

    def kill_worker(self) -> int:
        return int(self._app.ctl(self._app.in_service(), "kill"))

    def stop_app(self) -> int:
        container = self._app.in_service()
        self._engine.compose("stop", "app")
        return int(self._engine.docker("inspect", "--format", "{{.State.ExitCode}}", container))

    def start_app(self) -> None:
        self._engine.compose("start", "app")

    def restart_proxy(self) -> None:
        self._engine.compose("restart", "nginx")
