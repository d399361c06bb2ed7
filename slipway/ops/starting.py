"""The start of a stack in containers of which no app container runs yet."""

import itertools

from slipway.ops import readiness, wait
from slipway.ops.console import Failure, step
from slipway.ops.containers import START_SECONDS, AppContainers
from slipway.ops.engine import Engine
from slipway.ops.migration import Migration
from slipway.ops.services import ComposeServices
from slipway.ops.settings import StackSettings

NGINX_SECONDS = 10.0


class Start:
    """Starts all services of one project that do not run."""

    def __init__(self, engine: Engine, app: AppContainers, services: ComposeServices, settings: StackSettings) -> None:
        self._engine = engine
        self._app = app
        self._services = services
        self._settings = settings

    def run(self) -> None:
        """Start them and wait until the stack is ready; on failure remove what this has started, and raise."""
        running = self._services.names(running=True)
        try:
            self._services.start_stores(fixed=False)
            Migration(self._engine, self._settings).run()
            with step("containers"):
                self._start()
                self.await_ready()
        except BaseException:
            if started := [name for name in self._services.names() if name not in running]:
                self._engine.attempt("rm", "--stop", "--force", *started)
            raise
        self._services.remove_stores()

    def check_ports(self) -> None:
        """Raise Failure for an address that nginx could not bind, with the reason."""
        running = self._services.names(running=True)
        ports = {"nginx": self._settings.public_ports}
        if self._settings.baseline:
            ports["baseline-nginx"] = {"BASELINE_PORT": self._settings.baseline_port}
        wanted = [of.items() for service, of in ports.items() if service not in running]
        for name, port in itertools.chain(*wanted):
            if problem := wait.obstacle(self._settings.host, port):
                raise Failure(f"{name}={port} on {self._settings.host} {problem}")

    def await_ready(self) -> None:
        """Wait until the stack answers its clients."""
        for url in [self._settings.url, *([self._settings.baseline_url] if self._settings.baseline else [])]:
            readiness.await_ready(self._settings, url, NGINX_SECONDS + self._settings.timeout)

    def _start(self) -> None:
        self._services.up("--remove-orphans")
        app = self._app.all()[0]
        if problem := self._app.await_healthy(app, self._settings.timeout + START_SECONDS):
            raise Failure(f"the app's container {problem}: {self._app.reason(app)}")
