"""nginx outside a container: what the image's entrypoint does there, and the command that starts it."""

import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from slipway.ops.packages import find
from slipway.ops.settings import ROOT
from slipway.serving.config import PROXY_READ_TIMEOUT

NGINX_DIR = ROOT / "nginx"


def render(values: dict[str, str]) -> str:
    """Fill in the template's `${NAME}`s; nginx's own variables are `$name`. A name without a value raises KeyError."""
    text = (NGINX_DIR / "nginx.conf.template").read_text()
    return re.sub(r"\$\{([A-Z_]+)\}", lambda match: values[match[1]], text)


def alternatives(paths: Iterable[str]) -> str:
    """A part of a regular expression that matches one of the paths; characters with a meaning of their own are escaped.

    As hexadecimal numbers, so that neither nginx's parser nor envsubst nor compose finds anything to read in it.
    """
    return "|".join(re.sub(r"[^\w/-]", lambda match: f"\\x{ord(match[0]):02x}", path, flags=re.ASCII) for path in paths)


def prepare(
    folder: Path,
    *,
    listen: str,
    socket_dir: Path,
    max_body_bytes: int,
    read_timeout: int = PROXY_READ_TIMEOUT,
    health_paths: Iterable[str] = (),
    private_paths: Iterable[str] = (),
) -> list[str]:
    """Write the configuration below a folder, and return the command that runs nginx in the foreground."""
    folder.mkdir(parents=True, exist_ok=True)
    values = {
        "NGINX_DIR": str(NGINX_DIR),
        "SOCKET_DIR": str(socket_dir),
        "HTTP_LISTEN": listen,
        "MAX_BODY_BYTES": str(max_body_bytes),
        "PROXY_READ_TIMEOUT": str(read_timeout),
        "HEALTH_PATHS": alternatives(health_paths),
        "PRIVATE_PATHS": alternatives(private_paths),
    }
    configuration = folder / "nginx.conf"
    configuration.write_text(render(values))
    # Started by root, nginx's workers would be `nobody`, who can't reach sockets below a home that only root may enter.
    directives = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
    return [find("nginx") or "nginx", "-p", f"{folder}/", "-c", str(configuration), "-g", directives]


def logged(command: Sequence[str], python: str = sys.executable) -> list[str]:
    """The command that runs nginx with its log as JSON, which nothing that is not read can block."""
    return [python, "-IS", str(ROOT / "slipway" / "ops" / "logged.py"), *command]
