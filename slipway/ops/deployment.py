"""A deploy in containers: a new container starts beside the old one, which drains when the new one is healthy.

It may be interrupted at any point: the container that nginx's links point to stays, the next deploy removes the other.
"""

import json

from slipway.environment import SettingError
from slipway.ops import bodies, container_files, nginx_text, wait
from slipway.ops.console import Failure, say, step
from slipway.ops.containers import START_SECONDS, AppContainers
from slipway.ops.engine import NO_PORT, Engine, published
from slipway.ops.migration import Migration
from slipway.ops.services import ComposeServices
from slipway.ops.settings import StackSettings

NGINX_SECONDS = 10.0  # it looks for new settings once a second


class Deployment:
    """Changes the app's containers of one project."""

    def __init__(self, engine: Engine, app: AppContainers, services: ComposeServices, settings: StackSettings) -> None:
        self._engine = engine
        self._app = app
        self._services = services
        self._settings = settings

    def tidy(self, in_service: str) -> None:
        """Drain and remove the containers of an interrupted deploy: all except the one in service."""
        others = [container for container in self._app.all() if container != in_service]
        if others:
            with step("removing what an interrupted deploy has left"):
                self._app.stop(others)

    def replace(self, old: str, *, migrate: bool) -> None:
        """Put a new container into service, or raise Failure with the reason while the old one keeps serving.

        With `migrate`, PRESTART runs before the new one starts, while the old one serves.
        """
        if migrate:
            self._migrate()
        with step("new container"):
            try:
                new = self._start_beside(old)
            except BaseException:
                self._app.remove([container for container in self._app.all() if container != old])
                raise
            self._publish(new, old)
        self.tell_nginx()
        with step("old container drains"):
            self._app.stop([old])

    def _publish(self, new: str, old: str) -> None:
        """Point nginx's links to the new container; on failure restore them and stop it, unless it already serves."""
        try:
            self._app.ctl(new, "publish")
        except BaseException:
            if self._app.find_in_service() == old:
                self._app.ctl(old, "publish")
                self._app.stop([new])
            raise

    def _migrate(self) -> None:
        """Start the stores, since the settings may name a new one, then run PRESTART."""
        self._services.start_stores(fixed=True)
        Migration(self._engine, self._settings).run("; the old container still serves")

    def tell_nginx(self) -> None:
        """Write nginx's settings and wait until it has them; it reloads when the files change, and loses no request."""
        if not container_files.nginx_settings(self._settings):
            return
        if self._nginx() and not wait.until(self._nginx_has_taken_them, NGINX_SECONDS):
            say("  nginx has not taken its new settings yet; `make logs` shows why")

    def _nginx_has_taken_them(self) -> bool:
        files = tuple(f"/tmp/nginx/{name}.conf" for name in ("nginx", "https", "site", "edge"))
        has = self._engine.attempt_docker("exec", self._nginx(), "cat", *files).stdout
        wanted = [
            f"client_max_body_size {self._settings.max_body_bytes};",
            f"proxy_read_timeout {self._settings.proxy_read_timeout}s;",
            f"(?:{nginx_text.alternatives(self._settings.health_paths)})\\z",
            f"(?:{nginx_text.alternatives(self._settings.private_paths)})\\z",
            self._settings.edge.configuration(),
            container_files.https_server(self._settings),
            container_files.locations(self._settings),
        ]
        return all(text in has for text in wanted)

    def check_room(self) -> None:
        """Raise SettingError if nginx's container can't hold one body of MAX_BODY_BYTES."""
        most = bodies.largest_share(bodies.container_room())
        if self._settings.max_body_bytes > most:
            allowed = f"at most {most} in containers, or more room for bodies in docker-compose.yml"
            raise SettingError("MAX_BODY_BYTES", str(self._settings.max_body_bytes), allowed)

    def check_address(self) -> None:
        """Raise SettingError if the public address differs from that of the running nginx container."""
        if not (nginx := self._nginx()):
            return
        bindings = json.loads(self._engine.docker("inspect", "--format", "{{json .HostConfig.PortBindings}}", nginx))
        bound, tls = bindings["8080/tcp"][0], bindings["8443/tcp"][0]["HostPort"]
        mode = "off" if tls == NO_PORT else "on"
        for name, old, new in (
            ("HTTP_PORT", bound["HostPort"], str(self._settings.http_port)),
            ("HTTPS", mode, self._settings.https.mode),
            ("HTTPS_PORT", tls, published(self._settings)),
            ("HOST", bound["HostIp"].strip("[]"), self._settings.host),
        ):
            if old != new:
                raise SettingError(name, new, f"{old} until `make down` and `make up`")

    def _nginx(self) -> str:
        return next(iter(self._engine.containers("nginx", running=True)), "")

    def _start_beside(self, old: str) -> str:
        """Start a new container and return it once it is healthy."""
        done = self._engine.attempt("up", "--detach", "--no-recreate", "--scale", "app=2", "app")
        new = [container for container in self._app.all() if container != old]
        if not new:
            raise Failure(f"there is no new container; the old one still serves: {done.stderr.strip()}")
        if done.returncode:
            raise Failure(f"the new container did not start; the old one still serves: {done.stderr.strip()}")
        if problem := self._app.await_healthy(new[0], self._settings.timeout + START_SECONDS):
            raise Failure(f"the new container {problem}; the old one still serves: {self._app.reason(new[0])}")
        return new[0]
