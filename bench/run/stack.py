"""Starts one arm behind the shipped nginx configuration."""

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.run import counters, machine, processes
from bench.run.arms import COUNTED_APP, Arm, program
from bench.run.counters import COUNTS
from bench.run.processes import ManagedProcess, NotStarted
from slipway.ops import nginx, nginx_text, wait
from slipway.ops.settings import ROOT
from slipway.project import served
from slipway.serving import slot_lists

PROJECT = served()
READY_SECONDS = 20.0
MOST_BODY = 1 << 20  # bytes


@dataclass
class RunningArm:
    """The processes of one started arm: app server and nginx."""

    arm: Arm
    port: int
    folder: Path
    app: ManagedProcess
    proxy: ManagedProcess
    counted: int | None = None  # after the stop: requests counted by the workers, None if a count is missing

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def sockets(self) -> Path:
        return self.folder / "app"

    def worker_pids(self) -> list[int]:
        """The descendants of the master, or the only process."""
        return machine.tree(self.app.pid)[1:] or [self.app.pid]

    def workers_kib(self) -> int:
        """Proportional memory of all workers."""
        return sum(map(machine.pss_kib, self.worker_pids()))


@contextmanager
def serving(
    arm: Arm, *, workers: int, cpus: machine.Cpus, logs: Path, environment: dict[str, str]
) -> Iterator[RunningArm]:
    """Start the app server, then nginx; stop both in reverse order."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        counts = folder / "counts"
        for each in (folder / "app", counts):
            each.mkdir()
        env = {
            "BENCH_ENDPOINTS": "1", "ACCESS_LOG": "0", "PRESTARTED": "0", "INSTANCE": "app",
            "WEB_CONCURRENCY": str(workers), "LOG_LEVEL": "warning", "PYTHONWARNINGS": "ignore",
            "MAX_BODY_BYTES": str(MOST_BODY),
            COUNTS: str(counts), "SOCKET_DIR": str(folder / "app"), "DATA_DIR": str(folder / "data"),
            **environment,
        }  # fmt: skip
        app = _start_app(arm, folder, workers, cpus, logs / "app.log", env)
        try:
            port = processes.free_port()
            proxy = _start_nginx(folder, port, cpus, logs / "nginx.log")
            try:
                tells = workers if COUNTED_APP in arm.command else 0
                if not wait.until(lambda: _is_ready(port) and counters.started(counts) >= tells, READY_SECONDS):
                    raise NotStarted(f"{arm.name} is not ready:\n{app.tail()}\n{proxy.tail()}")
                up = RunningArm(arm, port, folder, app, proxy)
                yield up
            finally:
                proxy.stop(signal.SIGQUIT)
            app.stop()
            up.counted = counters.total_count(counts, 1 if arm.one_process else workers)
        finally:
            app.stop()


def _is_ready(port: int) -> bool:
    """Whether `make up` would call it ready: the ready path answers 200; without one, `/` answers below 500."""
    status = wait.get(f"http://127.0.0.1:{port}{PROJECT.ready_path or '/'}")[0]
    return status == 200 if PROJECT.ready_path else 0 < status < 500


def _start_app(
    arm: Arm, folder: Path, workers: int, cpus: machine.Cpus, log: Path, env: dict[str, str]
) -> ManagedProcess:
    socket, slots = folder / "app" / "shared.sock", folder / "app" / slot_lists.SLOTS[0]
    first, *rest = [part.format(socket=socket, workers=workers) for part in arm.command]
    app = processes.start(arm.name, [program(first), *rest], log=log, cpus=cpus.servers, env=env, cwd=ROOT)
    if arm.slots:
        # gunicorn.conf.py writes nginx's list of slots when all workers are ready
        wait.until(lambda: slots.exists() or app.popen.poll() is not None, READY_SECONDS)
        if not slots.exists():
            app.stop()
            raise NotStarted(f"{arm.name} did not become ready:\n{app.tail()}")
    else:
        app.wait_for(socket)
        slot_lists.write(socket.parent, [f"unix:{socket}"])
    return app


def _start_nginx(folder: Path, port: int, cpus: machine.Cpus, log: Path) -> ManagedProcess:
    command = nginx.prepare(
        folder / "nginx",
        listen=f"127.0.0.1:{port}",
        socket_dir=folder / "app",
        max_body_bytes=MOST_BODY,
        health_paths=PROJECT.health_paths,
        private_paths=PROJECT.private_paths,
        log_query=True,  # the query identifies the run
    )
    return processes.start("nginx", nginx.logged(command), log=log, cpus=cpus.servers)


def configuration() -> str:
    """The nginx configuration for the report, without the paths of this machine."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        nginx.prepare(
            folder,
            listen="PORT",
            socket_dir=Path("app"),
            max_body_bytes=MOST_BODY,
            health_paths=PROJECT.health_paths,
            private_paths=PROJECT.private_paths,
        )
        text = "\n".join((folder / name).read_text() for name in nginx_text.templates())
    return text.replace(name, "nginx").replace(str(nginx_text.NGINX_DIR), "nginx")
