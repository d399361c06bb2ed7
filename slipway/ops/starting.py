"""The start of a stack in containers that has no running app container."""

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
    """A start of all missing services of one project."""

    def __init__(self, engine: Engine, app: AppContainers, services: ComposeServices, settings: StackSettings) -> None:
        self._engine = engine
        self._app = app
        self._services = services
        self._settings = settings

    def run(self) -> None:
        """Start them and wait until the stack is ready; on failure remove the containers of this start."""
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
        """Raise Failure, with the reason, if nginx can't bind its addresses."""
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
