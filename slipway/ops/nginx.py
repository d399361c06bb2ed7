"""nginx outside a container: what the image's entrypoint does there, and the command that starts it."""

import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from slipway.ops import bodies
from slipway.ops.packages import find
from slipway.ops.settings import ROOT
from slipway.serving.cpus import worker_count
from slipway.serving.settings import PROXY_READ_TIMEOUT

NGINX_DIR = ROOT / "nginx"
MAX_WORKERS = 8  # each has up to 16,384 connections, in 8 MiB
MAX_CONNECTIONS = 16_384
BODY_ROOM = 768 << 20  # bytes on the disk, at the most; docker-compose.yml says the same of its own
KEEPALIVE_MIN_TIMEOUT = "keepalive_min_timeout 5s;"  # docker-compose.yml says the same; a test compares them


def render(values: dict[str, str]) -> str:
    """Fill in the template's `${NAME}`s; nginx's own variables are `$name`. A name without a value raises KeyError."""
    text = (NGINX_DIR / "nginx.conf.template").read_text()
    return re.sub(r"\$\{([A-Z_]+)\}", lambda match: values[match[1]], text)


def alternatives(paths: Iterable[str]) -> str:
    """A part of a regular expression that matches one of the paths; characters with a meaning of their own are escaped.

    As hexadecimal numbers, so that neither nginx's parser nor envsubst nor compose finds anything to read in it.
    """
    return "|".join(re.sub(r"[^\w/-]", lambda match: f"\\x{ord(match[0]):02x}", path, flags=re.ASCII) for path in paths)


def quoted(path: Path, *, pattern: bool = False) -> str:
    """A path for a string in double quotes of an include, which is a glob pattern if it has any sign of one."""
    text = str(path)
    if pattern or re.search(r"[*?[]", text):
        text = re.sub(r"([*?[\]\\])", r"\\\1", text)
    return re.sub(r'(["\\])', r"\\\1", text)


def prepare(
    folder: Path,
    *,
    listen: str,
    socket_dir: Path,
    max_body_bytes: int,
    read_timeout: int = PROXY_READ_TIMEOUT,
    health_paths: Iterable[str] = (),
    private_paths: Iterable[str] = (),
    body_room: int = BODY_ROOM,
) -> list[str]:
    """Write the configuration below a folder, and return the command that runs nginx in the foreground."""
    folder.mkdir(parents=True, exist_ok=True)
    values = {
        "NGINX_DIR": quoted(NGINX_DIR),
        "SOCKET_DIR": quoted(socket_dir, pattern=True),
        "HTTP_LISTEN": listen,
        "MAX_BODY_BYTES": str(max_body_bytes),
        "PROXY_READ_TIMEOUT": str(read_timeout),
        "HEALTH_PATHS": alternatives(health_paths),
        "PRIVATE_PATHS": alternatives(private_paths),
        "WORK_DIR": re.sub(r'(["\\])', r"\\\1", str(folder)),
        "WORKER_PROCESSES": str(min(worker_count().workers, MAX_WORKERS)),
        "WORKER_CONNECTIONS": str(_connections()),
        **bodies.limits(max(body_room, 4 * max_body_bytes), max_body_bytes),
        "KEEPALIVE_MIN_TIMEOUT": KEEPALIVE_MIN_TIMEOUT if version() >= (1, 27, 4) else "",
    }
    configuration = folder / "nginx.conf"
    configuration.write_bytes(os.fsencode(render(values)))
    # Started by root, nginx's workers would be `nobody`, who can't reach sockets below a home that only root may enter.
    directives = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
    return [find("nginx") or "nginx", "-p", f"{folder}/", "-c", str(configuration), "-g", directives]


def _connections() -> int:
    """Each is an open file; a third of those that there may be is for bodies that arrive and for logs."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)  # which whoever starts nginx allows it (supervisor.py)
    return MAX_CONNECTIONS if hard == resource.RLIM_INFINITY else max(64, min(MAX_CONNECTIONS, hard * 2 // 3))


def logged(command: Sequence[str], python: str = sys.executable, watched: Sequence[str] = ()) -> list[str]:
    """The command that runs nginx with its log as JSON, which nothing that is not read can block.

    It has nginx reload when the content of files that the `watched` patterns name has changed.
    """
    patterns = [f"--watch={pattern}" for pattern in watched]
    return [python, "-IS", str(ROOT / "slipway" / "ops" / "logged.py"), *patterns, *command]


@cache
def version() -> tuple[int, ...]:
    """Of the nginx that is installed; empty when there is none."""
    try:
        said = subprocess.run([find("nginx") or "nginx", "-v"], capture_output=True, text=True, timeout=10).stderr
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", said)
    return tuple(int(number) for number in found.groups()) if found else ()
