"""nginx alone, which shows the limit of the load generator itself."""

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.run import machine, processes

FLOOR = """daemon off; pid nginx.pid; error_log stderr warn; worker_processes 1;
events { worker_connections 16384; }
http {
    access_log off; keepalive_requests 1000000; default_type text/plain;
    server { listen 127.0.0.1:%d backlog=4096; location / { return 200 "Hello, World!"; } }
}
"""


@contextmanager
def floor(cpus: machine.Cpus, logs: Path) -> Iterator[int]:
    """Start nginx alone with a fixed response, to measure the generator's own latency and limit."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        port, folder = processes.free_port(), Path(name)
        configuration = folder / "nginx.conf"
        configuration.write_text(FLOOR % port)
        command = ["nginx", "-p", f"{folder}/", "-c", str(configuration)]
        proxy = processes.start("nginx alone", command, log=logs / "floor.log", cpus=cpus.servers)
        try:
            proxy.wait_for(("127.0.0.1", port))
            yield port
        finally:
            proxy.stop(signal.SIGQUIT)
