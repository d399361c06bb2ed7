"""Starts the targets: one worker for each app, and one nginx with all connection types, on the servers' processor."""

import os
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.run import machine, processes
from bench.run.arms import program
from bench.run.processes import Address, ManagedProcess
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
WAYS = ("unix, keep-alive", "TCP, keep-alive", "TCP, no keep-alive", "nginx alone")


@dataclass(frozen=True, slots=True)
class Target:
    """The origin that receives requests, and the processes whose CPU time is measured."""

    origin: str
    processes: Sequence[ManagedProcess]


@contextmanager
def app(name: str, cpus: machine.Cpus, logs: Path, sockets: Sequence[Path] = ()) -> Iterator[Target]:
    """Start gunicorn with one UvicornWorker, without a configuration file."""
    port = processes.free_port()
    binds: list[Address] = [("127.0.0.1", port), *sockets]
    command = [
        program("gunicorn"), "-c", "/dev/null", "-w", "1", "-k", "uvicorn.workers.UvicornWorker", "--no-control-socket",
        "--keep-alive", "75", "--log-level", "warning",
    ]  # fmt: skip
    for bind in binds:
        command += ["-b", f"unix:{bind}" if isinstance(bind, Path) else f"{bind[0]}:{bind[1]}"]
    env = {"PYTHONWARNINGS": "ignore"}
    process = processes.start(
        name, [*command, name], log=logs / f"{name}.log", cpus=cpus.servers[:1], env=env, cwd=ROOT
    )
    try:
        for bind in binds:
            process.wait_for(bind)
        yield Target(f"http://127.0.0.1:{port}", [process])
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
        command = ["nginx", "-p", f"{folder}/", "-c", str(folder / "nginx.conf"), *user]
        proxy = processes.start("nginx", command, log=logs / "nginx.log", cpus=cpus.servers[:1])
        stack.callback(proxy.stop, signal.SIGQUIT)
        targets = {"direct": direct}
        for way, port in zip(WAYS, ports, strict=True):
            proxy.wait_for(("127.0.0.1", port))
            both = [proxy] if way == WAYS[-1] else [*direct.processes, proxy]
            targets[way] = Target(f"http://127.0.0.1:{port}", both)
        yield targets
