"""The stack's servers, started by their literal commands in a folder of their own: gunicorn, nginx, uvicorn."""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from slipway.environment import Environment
from slipway.ops import certificate, nginx, wait
from slipway.ops.edge import EdgeSettings
from slipway.ops.https import HSTS_DEFAULT, HttpsSettings
from slipway.ops.settings import ROOT
from slipway.ops.site import SiteSettings, below
from slipway.paths import health_paths, private_paths
from slipway.project import Project
from slipway.serving.settings import STATUS_SOCKET
from tests.harness.client import Address
from tests.harness.prepared import prepare
from tests.harness.processes import (
    BIN,
    STOP_SECONDS,
    Process,
    children,
    command_of,
    free_ports,
    is_alive,
    running,
    short_folder,
)

LITERAL = ("gunicorn", "-k", "uvicorn.workers.UvicornWorker")
APP = Project.read().app
PREPARED = {"PRESTART", "DATA_DIR", "DATABASE_URL"}
Slots = Literal["unix", "tcp", "shared"]


def app_environment(folder: Path) -> dict[str, str]:
    """Return an environment without the caller's variables except PATH; all files are written below the folder."""
    return {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(folder),
        "RUN_DIR": str(folder),
        "DATA_DIR": str(folder / "data"),
        "BENCH_ENDPOINTS": "1",
        "ACCESS_LOG": "0",
    }


class Server(Process):
    """One gunicorn. Its database is migrated beforehand, unless a test sets one of the variables in PREPARED."""

    def __init__(
        self,
        folder: Path,
        app: str = APP,
        *,
        slots: Slots = "unix",
        workers: int = 2,
        arguments: Sequence[str] = (),
        literal: Sequence[str] = LITERAL,
        **environment: str,
    ) -> None:
        self.folder = folder
        self.project = Project.read().serving(app)
        self.slots = slots
        self.workers = workers
        self.port = free_ports(workers) if slots != "unix" else 0
        self.url = f"http://127.0.0.1:{self.port}"
        binding = {
            "unix": {"SOCKET_DIR": str(folder)},
            "tcp": {"SLOT_PORT": str(self.port)},
            "shared": {"GUNICORN_CMD_ARGS": f"--bind=127.0.0.1:{self.port}"},
        }
        ours = {**app_environment(folder), "INSTANCE": "app", "WEB_CONCURRENCY": str(workers), **binding[slots]}
        if self.project.prestart and not PREPARED & environment.keys():
            prepare(folder / "data", self.project.prestart)
            ours["PRESTART"] = "none"
        super().__init__([*literal, app, *arguments], folder / "gunicorn.log", {**ours, **environment})

    def stop(self, number: int = signal.SIGTERM, seconds: float = STOP_SECONDS) -> int:
        """Stop it, and kill workers that it wrongly leaves behind."""
        workers = children(self.pid)
        try:
            return super().stop(number, seconds)
        finally:
            for pid in workers:
                if self._is_ours(pid):
                    os.kill(pid, signal.SIGKILL)

    def _is_ours(self, pid: int) -> bool:
        """Return whether a process lives and was started for this folder; its pid may have been reused."""
        with suppress(OSError):
            return is_alive(pid) and f"={self.folder}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
        return False

    async def ctl(self, verb: str, seconds: float = 60.0) -> tuple[int, str]:
        """Run `python -m slipway.serving.ctl`; return its exit code and output."""
        command = [sys.executable, "-m", "slipway.serving.ctl", verb]
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(seconds):
                output, _ = await process.communicate()
        except TimeoutError:
            process.kill()
            raise
        return await process.wait(), output.decode()

    async def reload(self) -> tuple[int, str]:
        """Run the reload command; return its exit code and output."""
        return await self.ctl("reload")

    @property
    def ready(self) -> bool:
        """Whether all workers serve."""
        return (self.folder / "app.json").exists()

    def status(self) -> Any:
        return json.loads((self.folder / "app.json").read_text())

    def pids(self) -> list[int]:
        """Return the workers' pids, draining ones included, oldest first; a check of new code is no worker."""
        return [pid for pid in children(self.pid) if command_of(pid) == command_of(self.pid)]

    def address(self, slot: int = 0) -> Address:
        if self.slots == "unix":
            return str(self.folder / f"app-{slot}.sock")
        return "127.0.0.1", self.port + (slot if self.slots == "tcp" else 0)


class Nginx(Process):
    """The nginx before a server, with the same body limit and, unless the settings name some, no limits per client."""

    def __init__(
        self, server: Server, settings: EdgeSettings = nginx.NO_LIMITS, https: HttpsSettings = nginx.NO_HTTPS
    ) -> None:
        self.port = free_ports()
        self.https_url = f"https://127.0.0.1:{https.port}"
        self.https_port = https.port
        self.url = f"http://127.0.0.1:{self.port}"
        self.address: Address = ("127.0.0.1", self.port)
        command = nginx.prepare(
            server.folder / "nginx",
            listen=f"127.0.0.1:{self.port}",
            socket_dir=server.folder,
            max_body_bytes=int(server.environment.get("MAX_BODY_BYTES", 1 << 20)),
            health_paths=health_paths(Environment(server.environment), server.project),
            private_paths=private_paths(Environment(server.environment), server.project),
            edge=settings,
            site=SiteSettings(below(settings.root_path, server.project.static), server.project.private_files),
            data_dir=server.folder / "data",
            https=https,
            https_listen=f"127.0.0.1:{https.port}",
            log_query=server.environment.get("LOG_QUERY") == "1",
        )
        sockets = [server.folder / STATUS_SOCKET]
        super().__init__(nginx.logged(command, sockets=sockets), server.folder / "nginx.log")

    @property
    def ready(self) -> bool:
        return not wait.is_free("127.0.0.1", self.port)

    def by_upstream(self) -> Counter[str]:
        """Count the requests that each slot answered, from the access log, which is written once a second."""
        lines = self.log().splitlines()
        return Counter(json.loads(line)["upstream"] for line in lines if line.startswith("{") and line.endswith("}"))


class Uvicorn(Process):
    """The app under uvicorn alone."""

    stop_code = -signal.SIGTERM  # after its shutdown uvicorn raises the signal again

    def __init__(self, folder: Path, **environment: str) -> None:
        self.port = free_ports()
        self.url = f"http://127.0.0.1:{self.port}"
        command = ["uvicorn", APP, "--port", str(self.port)]
        super().__init__(command, folder / "uvicorn.log", {**app_environment(folder), **environment})

    @property
    def ready(self) -> bool:
        return wait.get(f"{self.url}/readyz")[0] == 200


def secure(folder: Path, **fields: Any) -> HttpsSettings:
    """Return settings for HTTPS on a free port, with a new certificate below a folder."""
    certificate.ensure(folder / "tls", certificate.openssl)
    settings = HttpsSettings(mode="on", port=free_ports(), hsts=HSTS_DEFAULT, folder=folder / "tls")
    return replace(settings, **fields)


@contextmanager
def serving(app: str = APP, **options: Any) -> Iterator[Server]:
    """Run a gunicorn and wait until it is ready; afterwards stop it and remove its folder."""
    with short_folder() as folder, running(Server(folder, app, **options)) as server:
        yield server


@contextmanager
def behind_nginx(server: Server, settings: EdgeSettings = nginx.NO_LIMITS, *, https: bool = False) -> Iterator[Nginx]:
    """Run an nginx before a server."""
    with running(Nginx(server, settings, secure(server.folder) if https else nginx.NO_HTTPS)) as proxy:
        yield proxy


@contextmanager
def served_by_uvicorn(**environment: str) -> Iterator[Uvicorn]:
    """Run a uvicorn and wait until it is ready; afterwards stop it and remove its folder."""
    with short_folder() as folder, running(Uvicorn(folder, **environment)) as server:
        yield server
