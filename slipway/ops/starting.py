"""The start of a stack in containers of which no app container runs yet."""

from slipway.ops import container_files, readiness, wait
from slipway.ops.console import Failure, step
from slipway.ops.containers import START_SECONDS, AppContainers
from slipway.ops.engine import Engine, engine_reason
from slipway.ops.instance import first_error
from slipway.ops.settings import StackSettings

STORES_SECONDS = 60
NGINX_SECONDS = 10.0
# A volume keeps the password that it was made with, which may be an earlier clone's: ours replaces it, by the
# unix socket, which PostgreSQL's image trusts. The data stay.
PSQL = ("exec", "-T", "--user", "postgres", "db", "psql", "-q", "-U", "slipway")


class Start:
    """Starts all services of one project that do not run."""

    def __init__(self, engine: Engine, app: AppContainers, settings: StackSettings) -> None:
        self._engine = engine
        self._app = app
        self._settings = settings

    def run(self) -> None:
        """Start them and wait until the stack is ready; on failure remove what this has started, and raise."""
        running = self._services("--status", "running")
        try:
            with step("containers"):
                self._start()
                self.await_ready()
        except BaseException:
            if started := [name for name in self._services("--all") if name not in running]:
                self._engine.attempt("rm", "--stop", "--force", *started)
            raise

    def check_ports(self) -> None:
        """Raise Failure for an address that nginx could not bind, with the reason."""
        running = self._services("--status", "running")
        ports = {"nginx": ("HTTP_PORT", self._settings.http_port)}
        if self._settings.baseline:
            ports["baseline-nginx"] = ("BASELINE_PORT", self._settings.baseline_port)
        for service, (name, port) in ports.items():
            if service not in running and (problem := wait.obstacle(self._settings.host, port)):
                raise Failure(f"{name}={port} on {self._settings.host} {problem}")

    def await_ready(self) -> None:
        """Wait until the stack answers its clients."""
        for url in [self._settings.url, *([self._settings.baseline_url] if self._settings.baseline else [])]:
            readiness.await_ready(self._settings, url, NGINX_SECONDS + self._settings.timeout)

    def _start(self) -> None:
        password = container_files.password(self._settings, fixed=False)
        up = ("up", "--detach", "--remove-orphans")
        done = self._engine.attempt(*up, "--wait", "--wait-timeout", str(STORES_SECONDS), "db")
        if not done.returncode:
            self._engine.attempt(*PSQL, stdin=f"ALTER USER slipway PASSWORD {quoted(password)};")
            done = self._engine.attempt(*up)
        if done.returncode:
            said = [self._said(name) for name in self._services("--all")]
            raise Failure(
                "the containers do not start: " + "\n  ".join(filter(None, [engine_reason(done.stderr), *said]))
            )
        app = self._app.all()[0]
        if problem := self._app.await_healthy(app, self._settings.timeout + START_SECONDS):
            raise Failure(f"the app's container {problem}: {self._app.reason(app)}")

    def _said(self, service: str) -> str:
        """Why a service that is not healthy is not, as far as its log says it."""
        if "unhealthy" not in self._engine.attempt("ps", "--all", "--format", "{{.Status}}", service).stdout:
            return ""
        log = ("logs", "--tail", "20", "--no-log-prefix", "--no-color", service)
        return f"{service}: {first_error(self._engine.attempt(*log).stdout.splitlines())}"

    def _services(self, *options: str) -> list[str]:
        return self._engine.compose("ps", "--services", *options).split()


def quoted(text: str) -> str:
    """A string constant of SQL, whatever characters it has."""
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
