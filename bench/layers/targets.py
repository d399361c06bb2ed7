"""Starts the targets: one worker for each app, and one nginx with all connection types, on the servers' processor."""

import os
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.layers.cases import Case
from bench.run import machine, processes
from bench.run.arms import program
from bench.run.processes import ManagedProcess
from slipway.ops.settings import ROOT

# One nginx process with every type of connection to the bare app. The shipped configuration uses the first.
NGINX = """daemon off; pid nginx.pid; error_log stderr warn; worker_processes 1;
events {{ worker_connections 4096; }}
http {{
    access_log off; default_type text/plain; keepalive_requests 100000000;
    upstream unix {{
        zone unix 64k; least_conn; server unix:{socket} max_fails=0; keepalive 64; keepalive_requests 100000000;
    }}
    upstream tcp {{
        zone tcp 64k; least_conn; server 127.0.0.1:{tcp} max_fails=0; keepalive 64; keepalive_requests 100000000;
    }}
    upstream once {{ server 127.0.0.1:{tcp} max_fails=0; }}
    proxy_http_version 1.1;
    server {{ listen 127.0.0.1:{ports[0]}; location / {{ proxy_set_header Connection ""; proxy_pass http://unix; }} }}
    server {{ listen 127.0.0.1:{ports[1]}; location / {{ proxy_set_header Connection ""; proxy_pass http://tcp; }} }}
    server {{ listen 127.0.0.1:{ports[2]}; location / {{ proxy_http_version 1.0; proxy_pass http://once; }} }}
    server {{ listen 127.0.0.1:{ports[3]}; location / {{ return 200 "Hello, World!"; }} }}
}}
"""
AS_SHIPPED = ("chrt", "--batch", "0")  # slipway/ops/logged.py sets the same scheduling policy
WAYS = ("unix, keep-alive", "TCP, keep-alive", "TCP, no keep-alive", "nginx alone")


@dataclass(frozen=True, slots=True)
class Target:
    """The origin that receives requests, and the processes whose CPU time is measured."""

    origin: str
    processes: Sequence[ManagedProcess]


def started(case: Case, cpus: machine.Cpus, logs: Path) -> AbstractContextManager[Target]:
    """One worker with the app of a case."""
    return app(case.app, cpus, logs) if case.settings is None else served(case, cpus, logs)


@contextmanager
def app(name: str, cpus: machine.Cpus, logs: Path, sockets: Sequence[Path] = ()) -> Iterator[Target]:
    """Start gunicorn with one UvicornWorker, without a configuration file."""
    port = processes.free_port()
    options = [
        "-c", "/dev/null", "-w", "1", "--no-control-socket", "--keep-alive", "75", "--log-level", "warning",
        *(f"--bind=unix:{path}" for path in sockets),
    ]  # fmt: skip
    with _worker(name, port, options, cpus, logs / f"{name}.log", {}) as process:
        for path in sockets:
            process.wait_for(path)
        yield Target(f"http://127.0.0.1:{port}", [process])


@contextmanager
def served(case: Case, cpus: machine.Cpus, logs: Path) -> Iterator[Target]:
    """Start a case as this stack serves it, without nginx; its log is in a temporary folder and not kept."""
    port = processes.free_port()
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        settings = {
            "RUN_DIR": folder, "DATA_DIR": folder, "WEB_CONCURRENCY": "1", "PRESTART": "none", "READY_PATH": "none",
            **(case.settings or {}),
        }  # fmt: skip
        log = Path(folder, "served.log")
        with _worker(case.app, port, ["-c", "gunicorn.conf.py"], cpus, log, settings) as process:
            yield Target(f"http://127.0.0.1:{port}", [process])


@contextmanager
def _worker(
    name: str, port: int, options: Sequence[str], cpus: machine.Cpus, log: Path, settings: Mapping[str, str]
) -> Iterator[ManagedProcess]:
    command = [program("gunicorn"), *options, "-k", "uvicorn.workers.UvicornWorker", f"--bind=127.0.0.1:{port}", name]
    env = {"PYTHONWARNINGS": "ignore", **settings}
    process = processes.start(name, command, log=log, cpus=cpus.servers[:1], env=env, cwd=ROOT)
    try:
        process.wait_for(("127.0.0.1", port))
        yield process
    finally:
        process.stop()


@contextmanager
def proxied(name: str, cpus: machine.Cpus, logs: Path) -> Iterator[dict[str, Target]]:
    """Start the app and nginx; yield a target for each type of connection, "direct" without nginx."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        direct = stack.enter_context(app(name, cpus, logs, [folder / "app.sock"]))
        ports = [processes.free_port() for _ in WAYS]
        tcp = direct.origin.rpartition(":")[2]
        (folder / "nginx.conf").write_text(NGINX.format(socket=folder / "app.sock", tcp=tcp, ports=ports))
        # started by root, its workers would run as another user, without access to the folder
        user = ["-g", "user root;"] if os.geteuid() == 0 else []
        command = [*AS_SHIPPED, "nginx", "-p", f"{folder}/", "-c", str(folder / "nginx.conf"), *user]
        proxy = processes.start("nginx", command, log=logs / "nginx.log", cpus=cpus.servers[:1])
        stack.callback(proxy.stop, signal.SIGQUIT)
        targets = {"direct": direct}
        for way, port in zip(WAYS, ports, strict=True):
            proxy.wait_for(("127.0.0.1", port))
            both = [proxy] if way == WAYS[-1] else [*direct.processes, proxy]
            targets[way] = Target(f"http://127.0.0.1:{port}", both)
        yield targets
