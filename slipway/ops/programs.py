"""The programs of the local runtime and how each is started."""

import glob
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from slipway.ops import acme, nginx, nginx_text
from slipway.ops.settings import ROOT, StackSettings
from slipway.ops.supervised import Program
from slipway.serving.settings import STATUS_SOCKET

APPS = ("app", "app-b")  # one is in service; both run during a deploy
RENEWAL_STOP_SECONDS = 20
NGINX_STOP_SECONDS = 35  # above worker_shutdown_timeout of nginx.conf.template; docker-compose.yml has the same
METRICS_PORT = "9464"  # the default of OpenTelemetry's Prometheus exporters; docker-compose.yml has the same
WORKER = ("-k", "uvicorn.workers.UvicornWorker")
BASELINE_WORKER = ("-k", "gthread", "--threads", "8")


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs of one stack; they write below `run_dir` only."""

    run_dir: Path
    stop_seconds: int

    def server(self, name: str, venv: Path, settings: StackSettings, settings_file: Path) -> Program:
        """Return a gunicorn; servers with the same `sockets` folder take over from each other."""
        environment = {
            "SOCKET_DIR": str(self.sockets(name)),
            "INSTANCE": name,
            "SETTINGS_FILE": str(settings_file),
            "DATA_DIR": str(self.run_dir / "data"),
            **({} if name in APPS else {"SCRIPT_NAME": settings.edge.root_path}),  # WSGI's name for ROOT_PATH
        }
        if name in APPS and not settings.environment.get("METRICS_PORT"):
            environment["METRICS_PORT"] = METRICS_PORT
        what = [*WORKER, settings.app] if name in APPS else [*BASELINE_WORKER, settings.project.baseline]
        command = [str(venv / "python"), str(venv / "gunicorn"), *what]
        return Program(name, command, "TERM", self.stop_seconds, environment)

    def proxy(self, name: str, venv: Path, settings: StackSettings) -> Program:
        """Write an nginx's configuration and return the program, whose log is JSON."""
        server = "app" if name == "nginx" else "baseline"
        watched = [
            f"{glob.escape(str(self.sockets(server)))}/slots*.conf",
            f"{glob.escape(str(nginx_text.NGINX_DIR))}/*.conf",
            f"{glob.escape(str(settings.https.folder))}/*.pem",
        ]
        # The system's interpreter: nginx outlives the environment, which the second deploy of new packages removes.
        python, sockets = str((venv / "python").resolve()), [self.sockets(server) / STATUS_SOCKET]
        command = nginx.logged(self.nginx(name, settings), python, watched, sockets)
        return Program(name, command, "QUIT", NGINX_STOP_SECONDS)

    def renewal(self, settings: StackSettings) -> Program:
        """Return the program that gets and renews the certificate of ACME_DOMAINS, with the certbot of this machine."""
        environment = {
            **settings.acme.environment(),
            "TLS_DIR": str(settings.https.folder),
            "REQUESTS_CA_BUNDLE": settings.acme.ca_file,
            "PATH": settings.environment.get("PATH", os.defpath),
        }
        command = [os.path.realpath(sys.executable), "-IS", str(ROOT / "slipway" / "renewal.py")]
        return Program(acme.NAME, command, "TERM", RENEWAL_STOP_SECONDS, environment)

    def nginx(self, name: str, settings: StackSettings) -> list[str]:
        """Write an nginx's configuration and return the command of nginx itself."""
        server, port = ("app", settings.http_port) if name == "nginx" else ("baseline", settings.baseline_port)
        return nginx.prepare(
            self.run_dir / name,
            listen=settings.listen(port),
            socket_dir=self.run_dir / server,
            max_body_bytes=settings.max_body_bytes,
            read_timeout=settings.proxy_read_timeout,
            health_paths=settings.health_paths,
            private_paths=settings.private_paths,
            edge=settings.edge,
            https=settings.https if name == "nginx" else nginx.NO_HTTPS,
            https_listen=settings.listen(settings.https.port),
            site=settings.site if name == "nginx" else nginx.NO_FILES,
            data_dir=Path(settings.environment.get("DATA_DIR") or self.run_dir / "data").absolute(),
            log_query=settings.log_query,
        )

    def sockets(self, name: str) -> Path:
        """Return the folder of a server's sockets and files, in which nginx finds its slots."""
        return self.run_dir / ("app" if name in APPS else name)

    def environment(self, name: str, settings: StackSettings, venv: Path) -> Mapping[str, str]:
        """Return the environment for a command that concerns a server."""
        data = settings.environment.get("DATA_DIR") or str(self.run_dir / "data")
        path = f"{venv}:{settings.environment.get('PATH', os.defpath)}"
        ours = {"DATA_DIR": data, "SOCKET_DIR": str(self.sockets(name)), "INSTANCE": name, "PATH": path}
        return {**settings.environment, **ours}
