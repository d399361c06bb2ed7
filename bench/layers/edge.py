"""The cost of the shipped nginx by itself, and its cost without one part of its configuration."""

import re
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.layers.targets import AS_SHIPPED, Target, app
from bench.run import machine, processes
from bench.run.stack import MOST_BODY, PROJECT
from slipway.environment import Environment
from slipway.ops import nginx
from slipway.ops.edge import EdgeSettings
from slipway.ops.nginx_text import NGINX_DIR
from slipway.serving import slot_lists

HIGH_LIMITS = {"CLIENT_REQUESTS_PER_SECOND": "1000000"}  # the others are as shipped; wrk has few connections
SHIPPED = "nginx as shipped"
Part = Mapping[str, Mapping[str, str]]  # by file: patterns and their replacements

FIELDS = r"proxy_set_header (?:X-Forwarded-\w+|X-Real-IP|Forwarded) .*"
PARTS: dict[str, Part] = {
    "its log": {"log.conf": {"access_log .*": "access_log off;"}},
    "the checks of each request": {"admit.conf": {r"(?s).*": ""}},
    "limits per client": {"edge.conf": {r"limit_(?:conn|req) .*": ""}, "nginx.conf": {r"limit_conn .*": ""}},
    "the headers that it adds": {"headers.conf": {"add_header .*": ""}},
    "fields about the client": {"proxy.conf": {FIELDS: ""}},
    "the request's id": {
        "proxy.conf": {".* X-Request-ID.*": ""},
        "headers.conf": {".* X-Request-ID.*": ""},
        "log.conf": {r"\$request_id": "", r"\$trace_id": "", r"\$span_id": ""},
    },
    "the trace": {
        "proxy.conf": {"proxy_set_header trace.*": ""},
        "log.conf": {r"\$trace_id": "", r"\$span_id": ""},
    },
    "upgrades": {"nginx.conf": {r"(?s)map \$http_upgrade \$upgrade .*?}": 'map "" $upgrade { default ""; }'}},
    "pages for errors": {"errors.conf": {"(?m)^error_page .*": ""}},
    "compression": {"types.conf": {"gzip on;": ""}},
}
ALL: Part = {
    name: {pattern: to for part in PARTS.values() for pattern, to in part.get(name, {}).items()}
    for name in sorted({name for part in PARTS.values() for name in part})
}
VARIANTS: dict[str, Part] = {
    SHIPPED: {},
    **{f"without {name}": part for name, part in PARTS.items()},
    "without all of these": ALL,
    "with expressions that are not compiled": {"nginx.conf": {"pcre_jit on;": ""}},
}


@contextmanager
def edges(name: str, cpus: machine.Cpus, logs: Path) -> Iterator[dict[str, Target]]:
    """Start one app, and an nginx for each variant; only nginx's own CPU time is measured."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        slot = folder / "slot-0.sock"
        stack.enter_context(app(name, cpus, logs, [slot]))
        yield {
            title: stack.enter_context(_nginx(folder / f"edge{number}", slot, changes, cpus, logs))
            for number, (title, changes) in enumerate(VARIANTS.items())
        }


@contextmanager
def _nginx(folder: Path, slot: Path, part: Part, cpus: machine.Cpus, logs: Path) -> Iterator[Target]:
    address = f"127.0.0.1:{processes.free_port()}"
    folder.mkdir()
    slot_lists.write(folder, [f"unix:{slot}"])
    command = [
        *AS_SHIPPED,
        *nginx.prepare(
            folder,
            listen=address,
            socket_dir=folder,
            max_body_bytes=MOST_BODY,
            health_paths=PROJECT.health_paths,
            private_paths=PROJECT.private_paths,
            edge=EdgeSettings.from_environment(Environment(HIGH_LIMITS)),
        ),
    ]
    copy = shutil.copytree(NGINX_DIR, folder / "static")
    for file in folder.glob("*.conf"):
        file.write_text(file.read_text().replace(str(NGINX_DIR), str(copy)))
    change(folder / "nginx.conf", {"worker_processes .*": "worker_processes 1;"})
    for name, changes in part.items():
        change(folder / name if (folder / name).exists() else copy / name, changes)
    process = processes.start(folder.name, command, log=logs / f"{folder.name}.log", cpus=cpus.servers[:1])
    try:
        process.wait_for(("127.0.0.1", int(address.rpartition(":")[2])))
        yield Target(f"http://{address}", [process])
    finally:
        process.stop(signal.SIGQUIT)


def change(file: Path, changes: Mapping[str, str]) -> None:
    """Replace patterns; raise LookupError for one that the file does not contain: it would measure nothing."""
    shipped = text = file.read_text()
    for pattern, to in changes.items():
        if not re.search(pattern, shipped):
            raise LookupError(f"{file.name} has nothing like {pattern}")
        text = re.sub(pattern, to, text)
    file.write_text(text)
